"""The files that a task is given: found beside its file, opened without following any link, copied in over the channel.

Who runs a task file may not have read it. So it can name files of its own folder, or of the folder that sbi was
started in if it lies there, and no others; and neither may be a place where sandboxes may not look.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sandbox_interpreter.agent import globs
from sandbox_interpreter.errors import TransferError, UsageError
from sandbox_interpreter.sandbox.below import open_below
from sandbox_interpreter.sandbox.names import check_name
from sandbox_interpreter.sandbox.offlimits import reason_against
from sandbox_interpreter.tasks.record import Input, Task

MOST_FILES = 10_000
_WILD = frozenset("*?[")
_STEP = "Inputs are files beside the task's file, or in the folder that sbi is started in; none of them a link."


@dataclass(frozen=True)
class Source:
    """One file to copy: ``parts`` lead from ``root`` to it, ``target`` is its name in /workspace."""

    root: Path
    parts: tuple[str, ...]
    target: str

    def open(self) -> BinaryIO:
        """Return the file, open to read. Raises UsageError: a part is a link, or it is no plain file."""
        try:
            return open_below(self.root, self.parts)
        except OSError as error:
            name = self.root.joinpath(*self.parts)
            raise UsageError(f"The input {str(name)!r} cannot be read: {error.strerror or error}.",
                             next_step=_STEP) from None


def check_source(pattern: str) -> str:
    """Return the pattern of an input in its plain form. Raises UsageError for one that is not relative."""
    plain = posixpath.normpath(pattern)
    if plain.startswith(("/", "~")) or "\0" in plain:
        raise UsageError(f"{pattern[:80]!r} is not relative to the task's file.", next_step=_STEP)
    return plain


def check_target(name: str) -> str:
    """Return a name in /workspace in its plain relative form. Raises UsageError for one that leads elsewhere."""
    plain = name.removeprefix("/workspace/")
    try:
        check_name(plain.removesuffix("/"))
    except TransferError:
        raise UsageError(f"{name[:80]!r} is no name in /workspace.", next_step="For example: to: data/in.csv") from None
    return plain


def sources(task: Task) -> list[Source]:
    """Return the files that ``task`` is given. Raises UsageError that names the input which cannot be."""
    if not task.inputs:
        return []
    folder = task.file.parent.resolve()
    root = _root(folder)
    found: dict[str, Source] = {}
    for wanted in task.inputs:
        for source in _matching(wanted, folder, root, task):
            if source.target in found:
                raise _refused(task, wanted, f"two files would be {source.target!r}")
            found[source.target] = source
        if len(found) > MOST_FILES:
            raise _refused(task, wanted, f"there are more than {MOST_FILES} files")
    return [found[name] for name in sorted(found)]


def _root(folder: Path) -> Path:
    """Return the outermost folder that inputs may come from. Raises UsageError if there is none."""
    here = Path.cwd().resolve()
    if folder.is_relative_to(here) and not reason_against(here):
        return here
    if reason := reason_against(folder):
        raise UsageError(f"No inputs can be taken from {folder}: {reason}.",
                         next_step="Keep task files and their inputs in a folder of their own.")
    return folder


def _matching(wanted: Input, folder: Path, root: Path, task: Task) -> Iterator[Source]:
    """Yield the files that one input means. Raises UsageError if there is none."""
    base = posixpath.normpath(posixpath.join(folder.relative_to(root).as_posix(), wanted.pattern))
    if base.startswith("../") or base == "..":
        raise _refused(task, wanted, f"it leads out of {root}")
    fixed, names = _names(root, base)
    if not names:
        raise _refused(task, wanted, "there is no such file, or it is a link")
    if wanted.to and not wanted.to.endswith("/") and len(names) > 1:
        raise _refused(task, wanted, f"{len(names)} files cannot all be {wanted.to!r}; a folder has a / behind it")
    for name in sorted(names):
        target = _target(wanted, name, fixed, folder.relative_to(root).as_posix())
        try:
            check_name(target)
        except TransferError:
            raise _refused(task, wanted, f"the name {target[:80]!a} cannot be copied") from None
        yield Source(root, tuple(name.split("/")), target)


def _names(root: Path, pattern: str) -> tuple[str, list[str]]:
    """Return the folder in which the matching begins, "" for the root, and the names that match, from the root."""
    literal = root / pattern
    if literal.is_dir() and literal.resolve() == literal:  # behind a link, all of this machine's files may be
        return pattern, [f"{pattern}/{name}" if pattern != "." else name for name in globs.files(str(literal), "**")]
    if literal.is_file():
        return posixpath.dirname(pattern), [pattern]
    parts = pattern.split("/")
    fixed = next((at for at, part in enumerate(parts) if _WILD & set(part)), len(parts) - 1)
    folder = "/".join(parts[:fixed])
    if (root / folder).resolve() != root / folder:
        return folder, []
    found = globs.files(str(root / folder), "/".join(parts[fixed:]))
    return folder, [posixpath.join(folder, name) for name in found]


def _target(wanted: Input, name: str, fixed: str, folder: str) -> str:
    if wanted.to.endswith("/"):
        return wanted.to + posixpath.relpath(name, fixed or ".")
    if wanted.to:
        return wanted.to
    relative = posixpath.relpath(name, folder)
    while relative.startswith("../"):
        relative = relative.removeprefix("../")
    return relative


def _refused(task: Task, wanted: Input, reason: str) -> UsageError:
    return UsageError(f"{task.file}: the input {wanted.pattern[:80]!r}: {reason}.", next_step=_STEP)
