"""What was typed at earlier prompts, over all sessions: a file of one JSON string a line, for its user's eyes only."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sandbox_interpreter.config import data_folder

_FILE = "prompts.jsonl"
_MOST = 1000
"""Prompts that are recalled."""
_MOST_BYTES = 512 * 1024
"""Bytes of the file that are read; from twice as many on it is written anew, with no more than ``_MOST`` prompts."""
_MOST_LENGTH = 20_000
"""Characters of a prompt that is kept: what is longer was pasted from somewhere, and is there still."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class PastPrompts:
    """The prompts in one file, ``path``; it is made when there is something to keep.

    No failure is raised: a chat does not end because a prompt cannot be recalled.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or data_folder() / _FILE

    def newest_first(self) -> Iterator[str]:
        """Yield the prompts that are kept, each once; lines that are none, as a full disk leaves them, are left out."""
        prompts = filter(None, map(_prompt, reversed(self._lines())))
        yield from list(dict.fromkeys(prompts))[:_MOST]

    def add(self, prompt: str) -> None:
        """Keep ``prompt``, which holds no secret, unless it is too long or begins with a blank."""
        if not prompt.strip() or prompt[0].isspace() or len(prompt) > _MOST_LENGTH:
            return
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = os.open(self._path, _APPEND, 0o600)
            try:
                self._append(file, _line(prompt))
            finally:
                os.close(file)

    def _append(self, file: int, line: bytes) -> None:
        status = os.fstat(file)
        if not _is_ours(status):
            return
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)  # no other chat writes the file anew meanwhile
        os.fchmod(file, 0o600)
        torn = status.st_size > 0 and os.pread(file, 1, status.st_size - 1) != b"\n"
        os.write(file, b"\n" + line if torn else line)
        if status.st_size > 2 * _MOST_BYTES:
            self._write_anew()

    def _write_anew(self) -> None:
        """Keep what can be recalled, and replace the file in one step. Raises OSError."""
        lines = [_line(prompt) for prompt in self.newest_first()]
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f"{_FILE}-")  # mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(reversed(lines))
            Path(name).replace(self._path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise

    def _lines(self) -> list[bytes]:
        """Return the last lines of the file; a first one that is cut is no prompt, and none of them."""
        with suppress(OSError):
            file = os.open(self._path, _READ)
            with os.fdopen(file, "rb") as opened:
                status = os.fstat(file)
                if _is_ours(status):
                    opened.seek(max(0, status.st_size - _MOST_BYTES))
                    return opened.read(_MOST_BYTES).splitlines()
        return []


def _is_ours(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def _line(prompt: str) -> bytes:
    return json.dumps(prompt).encode("ascii") + b"\n"


def _prompt(line: bytes) -> str | None:
    try:
        prompt = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return prompt if isinstance(prompt, str) and len(prompt) <= _MOST_LENGTH else None
