"""Removal of a folder that guest code has filled: whole, whatever it left there, and never anything outside."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from sandbox_interpreter.errors import SandboxError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def erase(folder: Path, *, keep: bool = False) -> None:
    """Remove ``folder`` and all in it; a folder that is gone already is no error. Raises SandboxError if any is left.

    ``keep``: the folder itself stays, empty. Symbolic links are removed, not followed. Folders without permissions are
    opened up first. Depth has no limit: each folder found is first moved up to the root of the tree, so that no path is
    long and no recursion deep.
    """
    try:
        root = _open_up(None, str(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _left(folder, error) from None
    try:
        _empty(root)
        if not keep:
            folder.rmdir()
    except OSError as error:
        raise _left(folder, error) from None
    finally:
        os.close(root)


def _left(folder: Path, error: OSError) -> SandboxError:
    return SandboxError(f"The folder {folder} could not be removed whole: {error.strerror}.",
                        next_step=f"Remove it by hand: rm -rf {folder}")


def _empty(root: int) -> None:
    fresh = _fresh_names()
    while names := os.listdir(root):
        for name in names:
            if _is_folder(root, name):
                _hoist(root, name, fresh)
                os.rmdir(name, dir_fd=root)
            else:
                os.unlink(name, dir_fd=root)


def _hoist(root: int, name: str, fresh: Iterator[str]) -> None:
    """Empty the folder ``name``: unlink its files, and move its folders up beside it."""
    inner = _open_up(root, name)
    try:
        for entry in os.listdir(inner):  # noqa: PTH208 - a descriptor, not a path
            if _is_folder(inner, entry):
                os.close(_open_up(inner, entry))  # a folder moves only if it may be written: its ".." changes
                os.rename(entry, next(fresh), src_dir_fd=inner, dst_dir_fd=root)
            else:
                os.unlink(entry, dir_fd=inner)
    finally:
        os.close(inner)


def _is_folder(parent: int, name: str) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def _open_up(parent: int | None, name: str) -> int:
    """Return a descriptor of the folder ``name`` after giving its owner every permission."""
    handle = os.open(name, _HANDLE | os.O_DIRECTORY, dir_fd=parent)
    try:
        # An O_PATH descriptor needs no permission on the folder; chmod reaches what it holds through /proc only.
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IRWXU)  # noqa: PTH101 - a descriptor, not a path
    finally:
        os.close(handle)
    return os.open(name, _FOLDER, dir_fd=parent)


def _fresh_names() -> Iterator[str]:
    prefix = os.urandom(8).hex()  # random, so that no name which the guest has chosen is in the way
    return (f"{prefix}.{number}" for number in itertools.count())
