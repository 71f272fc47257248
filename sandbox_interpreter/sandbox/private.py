"""The private workspace of a throwaway session: made, removed, and found again when its program was killed.

    <temporary folder>/sbi-x1y2z3/   mode 0700, ours
      owner                          which process made it
      workspace/                     mounted at /workspace
      packages/                      mounted at ~/.local where code has a network

Code in the container reaches the inner folder alone, so it cannot make the outer one another's.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sandbox_interpreter.errors import WorkspaceError
from sandbox_interpreter.sandbox.erase import erase
from sandbox_interpreter.sandbox.owner import has_rebooted, owner_label, owner_state
from sandbox_interpreter.sandbox.workspace import SANDBOX_UID, Workspace, owner

_PREFIX = "sbi-"
_OWNER = "owner"
_STANDBY = "standby"
_MOUNTED = "workspace"
_PACKAGES = "packages"
_MOST_ENTRIES = 20_000
"""Entries of a crowded temporary folder that are looked at: some 20 ms."""
_MOST_LABEL = 200


def create() -> Workspace:
    """Return a new, empty workspace of mode 0700 that belongs to the container's user. ``remove`` removes it.

    Raises WorkspaceError: the temporary folder is full, or cannot be written to.
    """
    try:
        import tempfile  # not where a container waits with a folder of its own: half a hundredth of that start

        parent = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        try:
            return _fill(parent)
        except OSError:
            remove(parent / _MOUNTED)
            raise
    except OSError as error:
        raise WorkspaceError(f"Cannot make a private workspace: {error}.",
                             next_step="Make room there, or name another place: export TMPDIR=DIR") from None


def _fill(parent: Path) -> Workspace:
    (parent / _OWNER).write_text(owner_label(), "ascii")
    for folder in (parent / _MOUNTED, parent / _PACKAGES):
        folder.mkdir(mode=stat.S_IRWXU)
        if os.geteuid() == 0:
            os.chown(folder, SANDBOX_UID, SANDBOX_UID)
    return _as_workspace(parent / _MOUNTED)


def _as_workspace(folder: Path) -> Workspace:
    return Workspace(folder, "rw", owner(folder), packages=folder.parent / _PACKAGES)


def with_packages(workspace: Workspace) -> Workspace:
    """Return ``workspace`` with a folder for packages, a private one where it has none. Raises WorkspaceError.

    ``remove_spare`` removes that one. Its owner is this process, and its user the workspace's.
    """
    if workspace.packages:
        return workspace
    packages = create().packages
    assert packages
    if os.geteuid() == 0:
        os.chown(packages, *map(int, workspace.user.split(":")))
    return dataclasses.replace(workspace, packages=packages)


def remove_spare(workspace: Workspace) -> None:
    """Remove the folder that ``with_packages`` made for a workspace; harmless for any other, and when repeated."""
    if workspace.packages and workspace.packages.parent != workspace.folder.parent and (
            _owner_of(workspace.packages.parent) == owner_label()):
        remove(workspace.packages.parent / _MOUNTED)


def remove(folder: Path) -> None:
    """Remove a workspace that ``create`` made; harmless when repeated. Raises SandboxError if any is left."""
    erase(folder)
    erase(folder.parent / _PACKAGES)
    # The owner's file goes last: what a kill in the midst of this leaves can still be told.
    with suppress(OSError):
        (folder.parent / _OWNER).unlink(missing_ok=True)
        folder.parent.rmdir()


def hand_over(folder: Path) -> None:
    """Let a workspace belong to the container that it is mounted in, and to no process. Raises OSError."""
    (folder.parent / _OWNER).write_text(_STANDBY, "ascii")


def adopt(folder: Path) -> Workspace:
    """Return a workspace that was handed over, and is this process's now. Raises WorkspaceError if it is not as new."""
    if owner_of(folder) != _STANDBY or folder.is_symlink() or any(folder.iterdir()):
        raise WorkspaceError(f"{folder} is not a private workspace that nobody has used.",
                             next_step="Run again for a new one.")
    (folder.parent / _OWNER).write_text(owner_label(), "ascii")
    return _as_workspace(folder)


def owner_of(folder: Path) -> str:
    """Return whose a private workspace is: an owner's label; "" for a folder that is none of this user's."""
    return _owner_of(folder.parent) if folder.name == _MOUNTED else ""


def standing() -> list[Path]:
    """Return the private workspaces in the temporary folder that were handed over to a container."""
    return [folder for folder, label in _all() if label == _STANDBY]


def abandoned() -> Iterator[Path]:
    """Yield the private workspaces in the temporary folder whose owner, a process of this user, has ended."""
    for folder, label in _all():
        if owner_state(label) == "dead" or has_rebooted(label):
            yield folder


def _all() -> Iterator[tuple[Path, str]]:
    """Yield the private workspaces in the temporary folder, each with its owner."""
    import tempfile

    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in itertools.islice(entries, _MOST_ENTRIES):
            if entry.name.startswith(_PREFIX):
                yield Path(entry.path) / _MOUNTED, _owner_of(Path(entry.path))


def _owner_of(parent: Path) -> str:
    """Return the owner that is named in a folder of ours; "" for any other, which somebody else may have put there."""
    try:
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != stat.S_IRWXU:
            return ""
        file = os.open(_OWNER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
        with os.fdopen(file, "rb") as opened:
            return opened.read(_MOST_LABEL).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
