"""Host folders that are never shown to code: what they hold would let it act on the host, or know its secrets.

Code that runs in the workspace can read all of it and, unless it is mounted ``:ro``, write all of it. A live socket
works through a mount, and a shell's start-up file or a Git hook that code has written runs on the host later.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from sandbox_interpreter.config import config_folder, data_folder, home_folder
from sandbox_interpreter.engines.address import address_of

_SYSTEM = ("/proc", "/sys", "/dev", "/run", "/etc", "/boot", "/var/lib/docker", "/var/lib/containerd",
           "/var/lib/containers")
_SHARED = ("/tmp", "/var/tmp")  # noqa: S108 - nothing is written there
"""Where programs of all kinds keep their sockets and files, tmux and other sandboxes among them."""
_SHARED_TOO = ("TMPDIR", "XDG_RUNTIME_DIR")
# Plain files in memory, and where desktops mount removable disks.
_NOT_SYSTEM = ("/dev/shm", "/run/media")  # noqa: S108 - nothing is written there
_HOME_SECRETS = (".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config/gcloud", ".local/share/containers",
                 ".local/share/docker", ".local/share/keyrings", ".password-store")


def reason_against(folder: Path, *, engine: str | None = None) -> str | None:
    """Return why ``folder`` (absolute, resolved) must not be a workspace, as the end of a sentence; None if it may.

    ``engine`` is the engine's setting. Above, at and inside a system place are refused; of the home folder only it
    itself, what is above it, and its places for secrets. Raises EngineUnreachable for a context that does not exist.
    """
    for place in _system_places():
        if _overlap(folder, place) and not any(_inside(folder, Path(free)) for free in _NOT_SYSTEM):
            return f"{place} is part of the system" if _within(folder, place) else f"it contains {place}"
    for place in map(_real, map(Path, filter(None, (*_SHARED, *map(os.environ.get, _SHARED_TOO))))):
        if _within(place, folder):
            return (f"programs keep their sockets and files in {place}, other sandboxes too; a folder in it may be one"
                    if folder == place else f"it contains {place}")
    home = _real(home_folder())
    if _within(home, folder):
        return "it is your home folder" if folder == home else f"it contains your home folder {home}"
    if _within(_real(data_folder()), folder):  # but not inside of it: a session's own workspace is there
        return f"it contains sbi's sessions, {data_folder()}"
    for place, what in _private_places(home, engine):
        if _overlap(folder, place):
            return f"{place} holds {what}" if _within(folder, place) else f"it contains {place}, which holds {what}"
    return None


def _system_places() -> Iterator[Path]:
    yield from (_real(Path(place)) for place in _SYSTEM)


def _private_places(home: Path, engine: str | None) -> Iterator[tuple[Path, str]]:
    for name in _HOME_SECRETS:
        yield _real(home / name), "credentials"
    yield _real(config_folder()), "sbi's settings"
    for address in (address_of(engine), os.environ.get("DOCKER_HOST"), os.environ.get("CONTAINER_HOST")):
        if address and address.startswith("unix://"):
            yield _real(Path(address.removeprefix("unix://"))), "the container engine's socket"
    if agent := os.environ.get("SSH_AUTH_SOCK"):
        yield _real(Path(agent)), "your SSH agent's socket"


def _real(path: Path) -> Path:
    # Where a part cannot be followed (a loop, no permission), the place as it is written is the best there is.
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()


def _within(folder: Path, place: Path) -> bool:
    return folder == place or place in folder.parents


def _inside(folder: Path, place: Path) -> bool:
    return place in folder.parents


def _overlap(folder: Path, place: Path) -> bool:
    return _within(folder, place) or _within(place, folder)
