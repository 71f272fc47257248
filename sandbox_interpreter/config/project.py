"""The settings file of a project, .sbi.yaml: where it is found, and what it may do before the user trusts it.

Whoever starts sbi in a folder has often not written what is in it. So the file is bounded in size, must be no symbolic
link, and may only tighten (see ``rules``) until `sbi config trust` has recorded its content.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sandbox_interpreter.config import sources
from sandbox_interpreter.config.folders import WITHOUT_PROJECT, shown
from sandbox_interpreter.config.rules import TRUSTED
from sandbox_interpreter.config.settings import SPECS
from sandbox_interpreter.config.sources import Found, Source
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.values import written

_REFERENCE = re.compile(r"[/:@]")
"""What the names of bundled images do not have: a registry, a tag or a digest."""


class Project(NamedTuple):
    """A project's file as it was read: its path, its content, what it says, and which settings it would widen."""

    path: Path
    data: bytes
    source: Source
    wider: tuple[str, ...]

    @property
    def is_trusted(self) -> bool:
        """Tell whether the user has trusted this content of this file. Raises ConfigError for a broken record."""
        from sandbox_interpreter.config import trust

        return trust.is_trusted(self.path, self.data)

    def permitted(self, without: Mapping[str, Found]) -> Source:
        """Return what the file may say; unless it is trusted, each setting that it would widen is a problem.

        ``without`` is what is in force without it.
        """
        source = self.source
        if not self.wider or self.is_trusted:
            return source
        kept = {name: found for name, found in source.found.items() if name not in self.wider}
        refused = [self._refusal(name, without[name]) for name in self.wider]
        return Source("project", source.name, kept, [*source.problems, *refused], source.notices)

    def check_image(self, found: Mapping[str, Found], *, handed: bool = False) -> None:
        """Raise ConfigError where the file, untrusted, would hand over what the user gives to an image of its choice.

        A file may choose an image, since whatever runs in it is held to the policy. But where the user lets code reach
        the network, or gives it variables (``handed`` if not by settings), the image of a stranger could carry them
        away.
        """
        image = found["image"]
        if image.layer != "project" or not _REFERENCE.search(image.value):
            return
        given = handed or any(found[name].value for name in ("env", "env_file", "secret"))
        if (given or found["network"].value != "none") and not self.is_trusted:
            raise ConfigError(f"{image.place}: image: where code has a network or is given variables, this file may "
                              "choose bundled images only, until you trust it.", next_step=self._next_step)

    def _refusal(self, name: str, other: Found) -> ConfigError:
        spec = SPECS[name]
        forbidden = spec.project is TRUSTED
        compared = "" if forbidden else f"; without it, {written(other.value, size=spec.size)} is in force"
        return ConfigError(f"{self.source.found[name].place}: {name}: this file {spec.project.words} until you trust "
                           f"it{compared}.", next_step=self._next_step)

    @property
    def _next_step(self) -> str:
        return (f"Read the file. To trust it as it is: sbi config trust {shlex.quote(shown(self.path))}   "
                f"To go without it: {WITHOUT_PROJECT}=1")


def read(path: Path, *, without: Mapping[str, Found]) -> Project:
    """Return the file at ``path``, whatever is wrong with it; ``without`` is what is in force without it."""
    from sandbox_interpreter.config import yaml_file

    source = Source("project", shown(path))
    data = b""
    try:
        data = yaml_file.read_bytes(path, follow=False)
    except ConfigError as error:
        source.complain(str(error), f"Mend it, or go without it: {WITHOUT_PROJECT}=1")
    else:
        source = sources.file(path, layer="project", data=data)
    wider = tuple(name for name, found in source.found.items()
                  if not SPECS[name].project.allows(found.value, without[name].value))
    return Project(path, data, source, wider)
