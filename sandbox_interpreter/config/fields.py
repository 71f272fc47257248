"""How a setting is declared: its default, the values that it takes, and what a project's file may do with it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sandbox_interpreter.config.rules import TRUSTED, Rule
from sandbox_interpreter.values import format_size, said


class Spec(NamedTuple):
    """What is known of a setting besides its name, type, default and explanation."""

    size: bool = False
    """Bytes, which people write like ``512m``."""
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    """The only texts that are possible; () for any."""
    parse: Callable[[Any], object] | None = None
    """Reads a value that has a grammar of its own; raises ValueError that says what is wrong with it."""
    example: str = ""
    """A value as a person would write it."""
    path: bool = False
    """A file or folder; in a project's file, relative to the folder of that file."""
    hidden: bool = False
    """Its value is shown to nobody."""
    project: Rule = TRUSTED
    """What a project's file may do with it before the user has trusted it."""

    def check(self, value: Any) -> None:
        """Raise ValueError that says why ``value``, of the right type, is not possible."""
        if value is None:
            return
        if self.choices and value not in self.choices:
            raise ValueError(f"{said(value)} is not possible; what is: {_listed(self.choices)}")
        if self.parse:
            self.parse(value)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{value} is not a number to measure by")
        if self.least is not None and value < self.least:
            raise ValueError(f"{value} is too small; the least is {self._written(self.least)}")
        if self.most is not None and value > self.most:
            raise ValueError(f"{value} is too much; the most is {self._written(self.most)}")

    def _written(self, bound: float) -> str:
        return format_size(int(bound)) if self.size else f"{bound:.15g}"


def setting(default: Any, **spec: Any) -> Any:
    """Return the default of a dataclass field that is a setting; ``spec`` are the fields of ``Spec``."""
    return dataclasses.field(default=default, metadata={Spec: Spec(**spec)})


def spec_of(metadata: Mapping[Any, Any]) -> Spec:
    """Return what a dataclass field was declared with."""
    found: Spec = metadata.get(Spec, _PLAIN)
    return found


def _listed(choices: tuple[str, ...]) -> str:
    *most, last = choices
    return f"{', '.join(most)} and {last}"


_PLAIN = Spec()
