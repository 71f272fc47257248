"""One image build at a time on this machine: two first runs at once would otherwise build everything twice."""

from __future__ import annotations

import fcntl

from sandbox_interpreter import config


class BuildLock:
    """The machine-wide lock of image builds, held until the end of the with block."""

    def __enter__(self) -> BuildLock:
        """Open the lock's file; nothing is held yet."""
        folder = config.data_folder()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "build.lock").open("w")
        return self

    def __exit__(self, *_: object) -> None:
        """Let go; the kernel does the same for a process that dies."""
        self._file.close()

    def try_acquire(self) -> bool:
        """Take the lock if it is free, and tell whether it was."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def acquire(self) -> None:
        """Wait for the lock and take it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
