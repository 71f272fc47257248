"""The host folder that is mounted at /workspace: which one, and whose it is. A private one is made in private.py."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sandbox_interpreter.config import data_folder
from sandbox_interpreter.errors import WorkspaceError
from sandbox_interpreter.frozen import frozen
from sandbox_interpreter.sandbox.offlimits import reason_against
from sandbox_interpreter.sandbox.policy import Access, Policy, split_access

SANDBOX_UID = 1000
"""The uid and gid of the user `sandbox` in the bundled images; it stands in wherever the folder's owner is root."""


@frozen
class Workspace:
    """A host folder to mount: absolute, free of symbolic links, checked.

    ``user`` is the container's user as ``uid:gid``; ``notice`` is for the user's eyes, empty if all is well.
    ``packages`` is the folder that installed packages go to, where code has a network; None: they stay in memory.
    ``record`` is the file that remembers what of a copied folder was copied; None: it need not outlive this process.
    """

    folder: Path
    access: Access
    user: str
    notice: str = ""
    packages: Path | None = None
    record: Path | None = None

    def mounted_packages(self, policy: Policy) -> Path | None:
        """Return the folder for packages where code has a network, and so can install any that are large."""
        return self.packages if policy.network != "none" else None

    def writable(self, policy: Policy) -> list[Path]:
        """Return the folders of the host's disk that code can fill."""
        packages = self.mounted_packages(policy)
        return [*([self.folder] if self.access == "rw" else []), *([packages] if packages else [])]


def resolve(text: str | Path, *, engine: str | None = None) -> Workspace:
    """Return the workspace that ``DIR[:ro|:rw|:copy]`` names, relative to the current folder.

    ``engine`` is the engine's setting, whose socket must stay out of reach. Raises WorkspaceError: the folder is
    missing, is a file, cannot be read, or is a place that must not be shown to code.
    """
    name, access = split_access(str(text))
    folder = _existing_folder(name)
    if reason := reason_against(folder, engine=engine):
        raise WorkspaceError(f"{name!r} cannot be the workspace: {reason}.",
                             next_step="Choose a folder that holds only the work: mkdir work; sbi … -w work")
    return Workspace(folder, access, owner(folder), _led(name, folder) or notice(folder, access))


def _led(name: str, folder: Path) -> str:
    """Return a notice where a link leads to ``folder``: code that worked above it may have put that there."""
    written = os.path.abspath(Path(name).expanduser())  # noqa: PTH100 - resolve() would follow the very link
    return "" if folder == Path(written) else f"{name} leads through a link: what code gets is {folder}."


def _existing_folder(name: str) -> Path:
    if not name:
        raise WorkspaceError("The workspace's name is empty.", next_step="Name a folder: -w DIR")
    try:
        folder = Path(name).expanduser().resolve(strict=True)
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        raise WorkspaceError(f"The workspace {name!r} does not exist.", next_step=f"Create it: mkdir {name}") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise WorkspaceError(f"The workspace {name!r} cannot be used: {error}.", next_step="Choose another.") from None
    if not is_folder:
        raise WorkspaceError(f"The workspace {name!r} is a file, not a folder.", next_step=f"Try: -w {folder.parent}")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise WorkspaceError(f"The workspace {name!r} cannot be read.", next_step=f"Allow it: chmod u+rx {name}")
    return folder


def is_ours(folder: Path) -> bool:
    """Tell whether ``folder`` is one that sbi made for a session, and not one of the user's."""
    return data_folder().resolve() in folder.parents


def owner(folder: Path) -> str:
    """Return ``uid:gid`` of the container's user for ``folder``: its owner's, and never root's.

    Files then belong to the right person on both sides of the mount.
    """
    status = folder.stat()
    if status.st_uid == 0:
        return f"{SANDBOX_UID}:{SANDBOX_UID}"
    return f"{status.st_uid}:{status.st_gid or status.st_uid}"


def notice(folder: Path, access: Access) -> str:
    """Return what the user should know about a folder of root's, as whom code never runs; "" if there is nothing."""
    if access == "copy":  # we read and write, and nobody else
        return ""
    status = folder.stat()
    needed = stat.S_IROTH | stat.S_IXOTH | (stat.S_IWOTH if access == "rw" else 0)
    if status.st_uid != 0 or status.st_mode & needed == needed:
        return ""
    verb, cure = ("write", f"chown -R {SANDBOX_UID} {folder}, or mount it {folder}:ro") if access == "rw" else (
        "read", f"chown -R {SANDBOX_UID} {folder}")
    return f"{folder} belongs to root and code runs as uid {SANDBOX_UID}, so it cannot {verb} there. To let it: {cure}"
