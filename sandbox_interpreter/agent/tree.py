"""All that is in a folder, in a form that tells whether any of it has changed since.

A record is ``KIND SIZE MODE MARK NAME``, with a NUL behind each. The kind is f (file), d (folder), l (link), o (other)
or u (a folder that cannot be read). The mark is another after every change: no program can set back a ctime.
"""

from __future__ import annotations

import os

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of a listing: some 300,000 records."""


def listing(root: str) -> bytes:
    """Return the records of everything below ``root``. Raises ValueError: that is too much."""
    records, size = [], 0
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name, kind, status in _entries(root, folder):
            if kind == "d":
                waiting.append(name + "/")
            mark = f"{status.st_mtime_ns}.{status.st_ctime_ns}.{status.st_ino}"
            record = os.fsencode(f"{kind} {status.st_size} {status.st_mode & 0o777} {mark} {name}")
            size += len(record) + 1
            if size > MOST_BYTES:
                raise ValueError("too many files")
            records.append(record)
    return b"\0".join(records)


def _entries(root: str, folder: str) -> list[tuple[str, str, os.stat_result]]:
    """Return name, kind and status of what is in a folder; what is gone meanwhile is left out."""
    found = []
    try:
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                found.append((folder + entry.name, _kind(entry), status))
    except OSError:
        pass  # told as u by the folder above
    return found


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "l"
    if entry.is_dir(follow_symlinks=False):
        return "d" if os.access(entry.path, os.R_OK | os.X_OK) else "u"
    return "f" if entry.is_file(follow_symlinks=False) else "o"
