"""Where the settings and the sessions of a user are, and where a settings file that was named is looked for."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox_interpreter.errors import ConfigError

USER_FILE = "config.yaml"
PROJECT_FILE = ".sbi.yaml"
WITHOUT_PROJECT = "SBI_NO_PROJECT"
"""The variable that, set to anything, leaves project files out."""


def home_folder() -> Path:
    """Return the user's home folder; the root folder for a user without one (a bare uid in a container)."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def config_folder() -> Path:
    """Return the folder of the user's config.yaml: SBI_CONFIG_DIR, else the XDG folder."""
    if override := os.environ.get("SBI_CONFIG_DIR"):
        return Path(override)
    return Path(os.environ.get("XDG_CONFIG_HOME") or home_folder() / ".config") / "sandbox-interpreter"


def data_folder() -> Path:
    """Return the folder of sessions: SBI_DATA_DIR, else the XDG folder."""
    if override := os.environ.get("SBI_DATA_DIR"):
        return Path(override)
    return Path(os.environ.get("XDG_DATA_HOME") or home_folder() / ".local" / "share") / "sandbox-interpreter"


def user_file() -> Path:
    """Return the path of the user's settings file, which need not exist."""
    return config_folder() / USER_FILE


def find_project(start: Path) -> Path | None:
    """Return the nearest .sbi.yaml from the folder ``start`` upwards to the repository's root or the home folder.

    Where neither is above, only ``start`` itself is looked at: what lies in /tmp is anybody's.
    """
    start, home = start.resolve(), home_folder().resolve()
    nearest: Path | None = None
    for folder in (start, *start.parents):
        if nearest is None and os.path.lexists(folder / PROJECT_FILE):
            nearest = folder / PROJECT_FILE
        is_home = folder == home and folder != folder.parent  # "/" stands in for a home that there is not
        if is_home or os.path.lexists(folder / ".git"):
            return nearest
    return nearest if nearest is not None and nearest.parent == start else None


def locate(name: str | os.PathLike[str]) -> Path:
    """Return the settings file of that name: a bare name in the settings' folder or here, else a path.

    Raises ConfigError that tells the places looked in.
    """
    places = places_of(name)
    for place in places:
        if place.is_file():
            return place
    for place in places:
        if place.exists():
            what = "a folder" if place.is_dir() else "no plain file"
            raise ConfigError(f"The config file {str(name)!r} is {what}: {shown(place)}.", next_step="Name another.")
    import shlex

    looked = " and ".join(shown(place) for place in places)
    raise ConfigError(f"There is no config file {str(name)!r}; looked at {looked}.",
                      next_step=f"Create it: sbi config edit --config-file {shlex.quote(str(name))}")


def places_of(name: str | os.PathLike[str]) -> list[Path]:
    """Return where a settings file of that name may be, the first being where a new one is made."""
    path = Path(name).expanduser()
    return [path.absolute()] if path.name != str(name) else [config_folder() / name, path.absolute()]


def shown(path: Path) -> str:
    """Return a path as it stands in a message: one that could forge a line or hide its end is quoted."""
    text = str(path)
    return text if text.isprintable() else repr(text)
