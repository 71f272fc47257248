"""The settings in force, from all sources: defaults, the user's file, the project's, the environment, flags."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox_interpreter.config import sources
from sandbox_interpreter.config.folders import WITHOUT_PROJECT, find_project, locate, user_file
from sandbox_interpreter.config.settings import FIELDS, Settings
from sandbox_interpreter.config.sources import Found, Source
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.sandbox.policy import split_access

if TYPE_CHECKING:
    from sandbox_interpreter.config.project import Project


class Resolved(NamedTuple):
    """The settings in force, where each value stands, and what the user should know about the rest."""

    settings: Settings
    found: Mapping[str, Found]
    notices: tuple[str, ...]


class Layers(NamedTuple):
    """All sources as they were read, in the order in which each wins over those before it; nothing is refused yet."""

    user: Source
    theirs: Source
    """What the project's file may say; see ``project``."""
    environment: Source
    given: Source
    project: Project | None

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return the sources without the defaults."""
        return self.user, self.theirs, self.environment, self.given

    def resolve(self, *, handed: bool = False) -> Resolved:
        """Return what comes of them together; see the function of that name. Raises ConfigError."""
        refuse([problem for source in self.sources for problem in source.problems])
        found = sources.defaults().found
        for source in self.sources:
            found |= source.found
        if self.project:
            self.project.check_image(found, handed=handed)
        settings = Settings(**{name: found[name].value for name in FIELDS})
        settings.check()
        return Resolved(settings, found, tuple(notice for source in self.sources for notice in source.notices))


def load(flags: Mapping[str, Any] | None = None, *, file: Path | None = None, handed: bool = False) -> Settings:
    """Return the settings in force; see ``resolve``. Raises ConfigError."""
    return resolve(flags, file=file, handed=handed).settings


def resolve(flags: Mapping[str, Any] | None = None, *, file: Path | None = None, handed: bool = False) -> Resolved:
    """Return the settings in force: defaults, the user's file, the project's, SBI_<NAME>, ``flags`` (None = not given).

    Each wins over those before it; the project's may only tighten what the two before it say, unless it is trusted.
    ``file`` is read in the place of the user's own; ``handed`` tells that the code is given variables besides those of
    the settings. Raises ConfigError that names every place where something is wrong.
    """
    return read(flags, file=file).resolve(handed=handed)


def read(flags: Mapping[str, Any] | None = None, *, file: Path | None = None) -> Layers:
    """Return all sources of settings, whatever is wrong with them; see ``resolve``."""
    user, environment, given = _user(file), sources.environment(), sources.flags(flags or {})
    without = sources.defaults().found | user.found
    path = nearest_project(without | environment.found | given.found)
    if path is None:
        return Layers(user, Source("project", ""), environment, given, None)
    from sandbox_interpreter.config import project as projects

    project = projects.read(path, without=without)
    return Layers(user, project.permitted(without), environment, given, project)


def extend(settings: Settings, name: str | os.PathLike[str]) -> tuple[str, ...]:
    """Lay a settings file over ``settings``, and return what the user should know of the keys that do nothing.

    A bare name is looked up in the settings' folder, then here. Raises ConfigError, and then nothing is changed.
    """
    source = sources.file(locate(name))
    refuse(source.problems)
    values = {name: found.value for name, found in source.found.items()}
    Settings(**(vars(settings) | values)).check()
    for each, value in values.items():
        setattr(settings, each, value)
    return tuple(source.notices)


def refuse(problems: Sequence[ConfigError]) -> None:
    """Raise the one problem, or one error that tells all of them; nothing if there is none."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise ConfigError("\n".join(map(str, problems)), next_step=problems[0].next_step)


def nearest_project(found: Mapping[str, Found]) -> Path | None:
    """Return the project's file that counts with these settings: from the workspace, else from here, upwards."""
    if os.environ.get(WITHOUT_PROJECT):
        return None
    workspace = found["workspace"].value
    try:
        start = Path(split_access(workspace)[0]).expanduser() if workspace else Path.cwd()
        return find_project(start)
    except (OSError, RuntimeError, ValueError):  # a folder that is gone, or a name that is none: others tell of it
        return None


def _user(file: Path | None) -> Source:
    path = file or user_file()
    return sources.file(path) if file is not None or path.exists() else Source("user", "")
