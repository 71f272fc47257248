"""Where settings come from: a file, the environment, flags. Each is read whole, and tells all that is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sandbox_interpreter.config.conversion import convert, did_you_mean, unknown
from sandbox_interpreter.config.folders import shown
from sandbox_interpreter.config.settings import FIELDS, SPECS
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.values import ENV_PREFIX, Spelling, as_flag, as_variable

if TYPE_CHECKING:
    from sandbox_interpreter.config.yaml_file import Entry

Layer = Literal["default", "user", "project", "environment", "flag"]
"""The kinds of sources; each wins over those before it."""

NO_SETTINGS = ("SBI_CONFIG_DIR", "SBI_DATA_DIR", "SBI_NO_PROJECT")
"""Variables of ours that are no settings: they say where to look for some."""


class Found(NamedTuple):
    """A value, and where it stands: ``FILE:LINE``, ``SBI_NAME``, ``--name``; a default stands nowhere."""

    value: Any
    layer: Layer = "default"
    place: str = ""


@dataclass
class Source:
    """What one source says: values by the names of their settings, and what is wrong with the rest.

    ``name`` is what the source is called; ``notices`` name what is understood and does nothing.
    """

    layer: Layer
    name: str
    found: dict[str, Found] = field(default_factory=dict)
    problems: list[ConfigError] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def take(self, name: str, value: Any, place: str, spelling: Spelling | None = None) -> None:
        """Convert a value and keep it, or the error that it is. ``place`` is told where the spelling does not."""
        where = "" if spelling else f"{place}: "
        try:
            self.found[name] = Found(convert(name, value, spelling=spelling, place=where), self.layer, place)
        except ConfigError as error:
            self.problems.append(error)

    def complain(self, what: str, next_step: str) -> None:
        """Add a problem."""
        self.problems.append(ConfigError(what, next_step=next_step))


def defaults() -> Source:
    """Return what is in force where nothing else is said."""
    return Source("default", "the defaults", {name: Found(each.default) for name, each in FIELDS.items()})


def flags(given: Mapping[str, Any]) -> Source:
    """Return what a command line says: values by the names of their settings, None where a flag was not given."""
    source = Source("flag", "the command line")
    for name, value in given.items():
        if value is not None:
            source.take(name, value, as_flag(name).name, as_flag(name))
    return source


def environment(environ: Mapping[str, str] | None = None) -> Source:
    """Return what the variables SBI_<NAME> say. One that is set but empty says nothing, as scripts mean it."""
    variables = os.environ if environ is None else environ
    source = Source("environment", "the environment")
    names = {as_variable(name).name: name for name in FIELDS}
    for variable, text in variables.items():
        if not variable.startswith(ENV_PREFIX) or variable in NO_SETTINGS:
            continue
        if variable not in names:
            hint = did_you_mean(variable, names)
            source.notices.append(f"{variable} in the environment is no setting. {hint}".rstrip())
        elif text:
            source.take(names[variable], text, variable, as_variable(names[variable]))
    return source


def file(path: Path, *, layer: Layer = "user", data: bytes | None = None) -> Source:
    """Return what a settings file says; ``data`` is its content, if it has been read.

    Whatever is wrong with it is in ``problems``, with the line.
    """
    from sandbox_interpreter.config import yaml_file  # 16 ms that only those who keep a file pay

    source = Source(layer, shown(path))
    try:
        entries = list(yaml_file.entries(yaml_file.read_bytes(path) if data is None else data, path))
    except ConfigError as error:
        source.problems.append(error)
        return source
    for entry in entries:
        if isinstance(entry, ConfigError):
            source.problems.append(entry)
        else:
            _take_entry(source, entry, path)
    return source


def _take_entry(source: Source, entry: Entry, path: Path) -> None:
    from sandbox_interpreter.config import seed

    place = f"{shown(path)}:{entry.line}"
    name = seed.OURS.get(entry.key, entry.key)
    if name in source.found:
        source.complain(f"{place}: {entry.key} means {name}, which is set already.", "Take one of them away.")
    elif name in FIELDS:
        value = _anchored(entry.value, path.parent) if SPECS[name].path and source.layer == "project" else entry.value
        source.take(name, value, place)
    elif (instead := seed.instead(entry.key)) is None:
        source.problems.append(unknown(entry.key, f"{place}: ", known=[*FIELDS, *seed.OURS]))
    else:
        source.notices.append(f"{place}: {entry.key} is of no effect here: {instead}.")


def _anchored(value: Any, folder: Path) -> Any:
    """Return a path of a project's file as it is meant: from the file's own folder, wherever sbi is started."""
    if not isinstance(value, str) or not value or value.startswith("~"):
        return value
    return str(folder / value)
