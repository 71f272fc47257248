"""Which files of a folder a pattern asks for; host and agent decide alike."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def matches(pattern: str, name: str) -> bool:
    """Tell whether ``pattern`` asks for ``name``, by the rules of ``glob``: ``**`` stands for any number of folders."""
    parts = name.split("/")
    wanted = pattern.split("/")
    reached = {0}  # how many parts the pattern may have passed: all ways at once, since they are many with several **
    for piece in wanted:
        if piece == "**":
            reached = set(range(min(reached, default=len(parts)), len(parts)))
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatchcase(parts[at], piece)}
    return bool(reached) if wanted[-1] == "**" else len(parts) in reached


def files(root: str, pattern: str) -> Iterator[str]:
    """Yield the names, relative to ``root``, of the regular files below it that match.

    No link is followed, as ``glob`` does it: two links to their own folder are a maze without end.
    """
    deepest = None if "**" in pattern.split("/") else pattern.count("/")
    waiting = [("", 0)]
    while waiting:
        folder, depth = waiting.pop()
        for entry in _entries(os.path.join(root, folder)):
            name = folder + entry.name
            if entry.is_dir(follow_symlinks=False):
                if deepest is None or depth < deepest:
                    waiting.append((name + "/", depth + 1))
            elif entry.is_file(follow_symlinks=False) and matches(pattern, name):
                yield name


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []  # gone meanwhile, not ours to read, or deeper than a path can say
