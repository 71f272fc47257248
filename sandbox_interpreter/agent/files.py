"""Files in and out of the container, as frames: a read-only root and tmpfs mounts are out of the engine's reach.

Paths are the container's and so are the permissions: the agent can read and write what the sandbox's user can.
"""

from __future__ import annotations

import os
import stat

from . import globs
from .frames import MOST_LISTING, cost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from .frames import Frame
    from .link import HostLink

ROOT = "/workspace"  # relative paths start here
PIECE = 256 * 1024


class Files:
    """Transfers under way."""

    def __init__(self, link: HostLink) -> None:
        self._link = link
        self._incoming: dict[int, BinaryIO] = {}
        self._failed: set[int] = set()
        self._outgoing: dict[int, tuple[BinaryIO, int]] = {}

    def handle(self, frame: Frame) -> None:
        """Begin or continue a transfer; what fails is told to the host, never raised."""
        identifier = frame.header["id"]
        try:
            getattr(self, "_" + frame.type)(identifier, frame)
        except (OSError, ValueError) as error:
            self._end(identifier, str(error))

    def grant(self, frame: Frame) -> None:
        """Take credit for a file on its way out."""
        identifier = frame.header["id"]
        if identifier in self._outgoing:
            file, credit = self._outgoing[identifier]
            self._outgoing[identifier] = (file, credit + frame.header["bytes"])
            self.pump()

    def pump(self) -> None:
        """Send what credit allows of every file on its way out."""
        for identifier, (file, credit) in list(self._outgoing.items()):
            while credit > 0 and not self._link.congested:
                try:
                    data = file.read(min(PIECE, credit))
                except OSError as error:
                    self._end(identifier, str(error))
                    break
                if not data:
                    self._end(identifier, None)
                    break
                credit -= cost(data)
                self._outgoing[identifier] = (file, credit)
                self._link.send("file_data", data, id=identifier)

    def _file_put(self, identifier: int, frame: Frame) -> None:
        more = frame.header.get("more", False)
        if identifier not in self._failed:
            if identifier not in self._incoming:
                self._incoming[identifier] = _create(_absolute(frame.header["path"]), frame.header["mode"])
            self._incoming[identifier].write(frame.payload)
            if not more:
                self._close_incoming(identifier, frame.header["mtime"])
                self._link.send("file_done", id=identifier, error=None)
        if not more:
            self._failed.discard(identifier)

    def _close_incoming(self, identifier: int, mtime: int | None) -> None:
        with self._incoming.pop(identifier) as file:
            if mtime is not None:
                file.flush()
                os.utime(file.fileno(), ns=(mtime * 1000, mtime * 1000))

    def _folder_put(self, identifier: int, frame: Frame) -> None:
        os.makedirs(_absolute(frame.header["path"]), exist_ok=True)
        self._link.send("file_done", id=identifier, error=None)

    def _link_put(self, identifier: int, frame: Frame) -> None:
        path = _absolute(frame.header["path"])
        _make_way(path)
        os.symlink(os.fsdecode(frame.payload), path)
        self._link.send("file_done", id=identifier, error=None)

    def _tree_list(self, identifier: int, _: Frame) -> None:
        from io import BytesIO

        from . import tree

        self._outgoing[identifier] = (BytesIO(tree.listing(ROOT)), 0)

    def _file_list(self, identifier: int, frame: Frame) -> None:
        names, size = [], 0
        for name in globs.files(ROOT, frame.header["pattern"]):
            names.append(os.fsencode(name))
            size += len(names[-1]) + 1
            if size > MOST_LISTING:
                raise ValueError("too many files match")
        self._link.send("file_names", b"\0".join(sorted(names)), id=identifier)

    def _file_get(self, identifier: int, frame: Frame) -> None:
        descriptor = os.open(_absolute(frame.header["path"]), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        file = os.fdopen(descriptor, "rb")
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise ValueError("not a regular file")
        self._outgoing[identifier] = (file, 0)

    def _end(self, identifier: int, error: str | None) -> None:
        if identifier in self._outgoing:
            self._outgoing.pop(identifier)[0].close()
        if identifier in self._incoming:
            self._incoming.pop(identifier).close()
        if error is not None:
            self._failed.add(identifier)
        self._link.send("file_done", id=identifier, error=error)


def _absolute(path: str) -> str:
    return os.path.join(ROOT, path)  # pathlib costs 8 ms to import


def _make_way(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        os.unlink(path)  # what may not be written may still be replaced
    except FileNotFoundError:
        pass


def _create(path: str, mode: int | None) -> BinaryIO:
    os.makedirs(os.path.dirname(path), exist_ok=True)  # as above
    if mode is not None:
        _make_way(path)
    # Not waiting for anyone: opening a FIFO that nobody reads would stop the agent for ever.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666)
    if mode is not None:
        os.fchmod(descriptor, mode & 0o777)
    return os.fdopen(descriptor, "wb")  # closed when its last frame has come
