"""All that is in a folder, here or in a sandbox, and whether any of it is another than before.

Here no link is followed, and every folder is opened relative to the one before it. What a sandbox tells of its own is
its word, no more: names are checked where they are used.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from sandbox_interpreter.errors import TransferError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FIELDS = 5
_KINDS = "fdlou"


class Entry(NamedTuple):
    """What there is by a name: a file, ``d`` a folder, ``l`` a link, ``o`` no file, ``u`` a folder that is closed.

    ``size`` is in bytes; ``mode`` its permissions. ``mark`` is another after every change of the entry.
    """

    kind: str
    size: int
    mode: int
    mark: str


def entry_of(status: os.stat_result, target: str = "") -> Entry:
    """Return the entry of something here; ``target`` is where a link leads."""
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return Entry("d", 0, mode, "d")
    if stat.S_ISLNK(status.st_mode):
        return Entry("l", 0, mode, f"l{target}")
    kind = "f" if stat.S_ISREG(status.st_mode) else "o"
    # Not the ctime: a changed owner, or one more name, changes nothing that is copied.
    return Entry(kind, status.st_size, mode,
                 f"{kind}{status.st_size}.{status.st_mtime_ns}.{status.st_ino}.{mode & 0o111}")


def here(root: int, most: int) -> dict[str, Entry]:
    """Return what is below the folder that ``root`` is a descriptor of, by name. What cannot be looked at is ``u``.

    Of a folder with more than ``most`` entries it is somewhat more than that: whoever asks has no use for them.
    """
    found: dict[str, Entry] = {}
    waiting: list[tuple[str, ...]] = [()]
    while waiting and len(found) <= most:
        parts = waiting.pop()
        try:
            folder = below(root, parts)
        except OSError:
            found["/".join(parts)] = Entry("u", 0, 0, "u")
            continue
        try:
            for name in os.listdir(folder):  # noqa: PTH208 - a descriptor, not a path
                try:
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else ""
                except OSError:
                    continue  # gone meanwhile
                entry = found["/".join((*parts, name))] = entry_of(status, target)
                if entry.kind == "d":
                    waiting.append((*parts, name))
        finally:
            os.close(folder)
    return found


def below(root: int, parts: tuple[str, ...]) -> int:
    """Return a descriptor of the folder that ``parts`` lead to from ``root``, through no link. Raises OSError."""
    folder = os.dup(root)
    for part in parts:
        try:
            inner = os.open(part, _FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def open_file(root: int, name: str) -> int:
    """Return a descriptor of a regular file below ``root``, reached through no link. Raises OSError."""
    *parents, last = name.split("/")
    folder = below(root, tuple(parents))
    try:
        file = os.open(last, _FILE, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError("it is no regular file any more")
    return file


def there(listing: bytes) -> dict[str, Entry]:
    """Return what an agent says is in its workspace, by name; see agent/tree.py. Raises TransferError."""
    found: dict[str, Entry] = {}
    for record in listing.split(b"\0"):
        if not record:
            continue
        fields = record.decode("utf-8", "surrogateescape").split(" ", _FIELDS - 1)
        if len(fields) != _FIELDS or fields[0] not in _KINDS or not (
                fields[1].isdecimal() and fields[2].isdecimal()):
            raise TransferError("The sandbox gave a list of files that is none.", next_step="Run again for a new one.")
        kind, size, mode, mark, name = fields
        # A folder changes with what is in it, which is told by itself.
        told = kind if kind in "du" else f"{kind}{size}.{mode}.{mark}"[:100]
        found[name] = Entry(kind, int(size[:18]), int(mode[:9]), told)
    return found
