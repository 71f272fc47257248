"""How much of the disk the code of one sandbox takes: by files with a name, and by deleted ones that it holds open.

What is measured belongs to code that may hide it. Whatever could not be looked at is said, so that whoever asks can
count it at its worst.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

LEAST = 4096
"""Bytes that each name counts for: a file without content takes an inode and its place in a folder."""
DEEPEST = 100
"""Levels that are looked into, one descriptor each; people's folders have some 30."""
_SLICE = 2000
_BREATH = 0.002
"""Seconds of rest after so many names: other threads of this process have work to do."""
_BLOCK = 512  # stat(2), st_blocks
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PROC = Path("/proc")


@dataclass(frozen=True)
class Usage:
    """Bytes on disk; ``whole`` tells whether everything could be looked at."""

    size: int = 0
    whole: bool = True

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.size + other.size, self.whole and other.whole)


def below(folder: Path, *, since: float = 0.0, most: float) -> Usage:
    """Return what is in ``folder`` and was changed after ``since`` (seconds of the epoch); it stops beyond ``most``.

    Nothing is followed: no link, and no other file system that is mounted there. The time is that of a file's last
    change of any kind, which no program can set (ctime, inode(7)).
    """
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # removed, or a network's that is gone
        return Usage()
    try:
        device = os.fstat(root).st_dev
        size, whole = 0, True
        for count, entry in enumerate(_entries(root, DEEPEST)):
            if entry is None:
                whole = False
            elif entry.st_dev == device and entry.st_ctime >= since:
                # A file with several names counts once for all of them together.
                size += max(entry.st_blocks * _BLOCK, LEAST) // max(entry.st_nlink, 1) if not stat.S_ISDIR(
                    entry.st_mode) else max(entry.st_blocks * _BLOCK, LEAST)
            if size > most:
                break
            if count % _SLICE == _SLICE - 1:
                time.sleep(_BREATH)
        return Usage(size, whole)
    finally:
        os.close(root)


def _entries(folder: int, levels: int) -> Iterator[os.stat_result | None]:
    """Yield what each name below a folder is; None for a folder that cannot be looked into."""
    us = os.fstat(folder)
    with os.scandir(folder) as names:
        for name in names:
            try:
                found = name.stat(follow_symlinks=False)
            except OSError:  # gone meanwhile
                continue
            yield found
            if not stat.S_ISDIR(found.st_mode) or found.st_dev != us.st_dev:
                continue
            if not levels:
                yield None
                continue
            try:
                inner = os.open(name.name, _FOLDER, dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError:
                if found.st_uid == us.st_uid:  # else somebody else's, and closed to code as well
                    yield None
                continue
            try:
                yield from _entries(inner, levels - 1)
            except OSError:
                yield None
            finally:
                os.close(inner)


def hidden(container: str, devices: Collection[int], *, most: float) -> Usage:
    """Return what the processes of ``container`` (its identifier) keep of files without a name on ``devices``.

    It stops beyond ``most``. Where the container's processes are another machine's, there is nothing to be found.
    """
    size, whole, seen = 0, True, set()
    for process in _processes(container):
        try:
            descriptors = [each.name for each in (process / "fd").iterdir()]
        except FileNotFoundError:  # it has ended
            continue
        except OSError:
            whole = False
            continue
        for descriptor in descriptors:
            found = _nameless(process / "fd" / descriptor)
            if found and found.st_dev in devices and (key := (found.st_dev, found.st_ino)) not in seen:
                seen.add(key)
                size += max(found.st_blocks * _BLOCK, LEAST)
            if size > most:
                return Usage(size, whole)
    return Usage(size, whole)


def _processes(container: str) -> Iterator[Path]:
    """Yield the folders of a container's processes: every engine names it in their control group."""
    try:
        names = [each.name for each in _PROC.iterdir() if each.name.isdecimal()]
    except OSError:
        return
    mark = container.encode()
    for name in names:
        try:
            if mark in (_PROC / name / "cgroup").read_bytes():
                yield _PROC / name
        except OSError:  # it has ended
            continue


def _nameless(descriptor: Path) -> os.stat_result | None:
    """Return what an open descriptor holds, if that is a file that has been deleted."""
    try:
        if not str(descriptor.readlink()).endswith(" (deleted)"):
            return None
        found = descriptor.stat()
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 else None
