"""The event log of a session: JSON objects, one a line, only ever appended to.

A line is one write, so a killed process leaves whole lines but for the last. A line that is torn, by a kill or a full
disk, is closed before the next is written, and passed over and reported when the log is read.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox_interpreter.errors import UsageError

_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW

_LOOK = 0.05
"""Seconds that ``is_open`` holds the log at the most, while it looks."""


class EventLog:
    """Appends to one log, which no other program may append to meanwhile.

    Raises OSError when it cannot be opened, UsageError when another has it open.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, _APPEND, 0o600)
        try:
            self._lock()
            end = os.lseek(self._file, 0, os.SEEK_END)
            self._torn = end > 0 and os.pread(self._file, 1, end - 1) != b"\n"
        except BaseException:
            os.close(self._file)
            raise

    def _lock(self) -> None:
        for last in (False, False, True):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel lets go of it when the process ends
            except BlockingIOError:
                if last:
                    raise UsageError(f"The session {self._path.parent.name} is open already, in another sbi.",
                                     next_step="Go on there, or leave it there first.") from None
                time.sleep(_LOOK)
            except OSError:
                return  # a file system without locks
            else:
                return

    def append(self, event: str, facts: Mapping[str, Any], *, durable: bool = False) -> None:
        """Write one line: the time (UTC), the event's name, and JSON-serialisable ``facts``.

        ``durable``: return once it is on the disk, whatever befalls the machine. Raises OSError; the log stays whole.
        """
        entry = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event, **facts}
        line = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        data = memoryview(b"\n" + line if self._torn else line)
        while data:
            written = os.write(self._file, data)  # less than all only where the next write says why
            data = data[written:]
            self._torn = bool(data)
        if durable:
            os.fsync(self._file)

    def close(self) -> None:
        """Let go of the log."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


@dataclass
class Events:
    """What a log holds: its whole entries in order, and a sentence on each line that is none."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(path: Path) -> Events:
    """Return the events of a log; one that does not exist is empty. Raises OSError."""
    events = Events()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return events
    with file:
        for number, line in enumerate(file, 1):
            entry = _entry(line)
            if entry is not None:
                events.entries.append(entry)
            elif not line.endswith(b"\n"):
                events.problems.append(f"{path}: line {number}, the last, is torn: the program ended while it wrote.")
            elif line.strip():
                events.problems.append(f"{path}: line {number} is no event; it was passed over.")
    return events


def _entry(line: bytes) -> dict[str, Any] | None:
    """Return the event on a line, None if there is none. A last line without its end may still be whole."""
    try:
        entry = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("event"), str) else None


def is_open(path: Path) -> bool:
    """Tell whether a living program has the log open to write."""
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False

