"""A value, as it was written somewhere, as the value of a setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox_interpreter.config.settings import FIELDS, SPECS
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.values import Spelling, as_type, said

# Annotations as they are written: to have them evaluated would take a millisecond of every start.
_KINDS: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "str": str, "tuple[str, ...]": tuple}
_OR_UNSET = " | None"
_NOTHING = {"none", "null"}


def convert(name: str, value: Any, *, spelling: Spelling | None = None, place: str = "") -> Any:
    """Return ``value`` as the type of setting ``name``; ``spelling`` and ``place`` are how and where it was found.

    Raises ConfigError that tells the place, the setting as it is written there, what was given, and an example.
    """
    if name not in SPECS:
        raise unknown(name, place)
    kind, optional = _kind(name)
    spec = SPECS[name]
    if value is None and kind is tuple:
        return ()
    if optional and _is_nothing(kind, value):
        return None
    try:
        converted = as_type(kind, value, size=spec.size)
        spec.check(converted)
    except (TypeError, ValueError, OverflowError) as error:
        written = spelling or Spelling(name, ": ")
        reason = "what is given does not fit" if spec.hidden else error
        raise ConfigError(f"{place}{written.name}: {reason}.",
                          next_step=f"For example: {written(spec.example)}") from None
    return converted


def check_range(name: str, value: Any) -> None:
    """Raise ValueError that says why ``value``, of the right type, is not possible for setting ``name``."""
    SPECS[name].check(value)


def tightens(name: str, value: Any, other: Any) -> bool:
    """Tell whether ``value`` of setting ``name`` allows no more than ``other``, by the rule for projects' files."""
    return SPECS[name].project.allows(value, other)


def unknown(name: str, place: str = "", *, known: Iterable[str] = SPECS) -> ConfigError:
    """Return the error for a setting that there is not; ``place`` is where it stands, ``known`` what could be meant."""
    hint = did_you_mean(name, known) or "List them: sbi config show"
    return ConfigError(f"{place}Unknown setting {said(name)}.", next_step=hint)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question that names the known name nearest to ``name``; "" if none is near."""
    import difflib  # only where there is a mistake to mend

    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else ""


def kind_of(name: str) -> type:
    """Return the type of setting ``name``: bool, int, float, str, or tuple (of texts)."""
    return _kind(name)[0]


def _kind(name: str) -> tuple[type, bool]:
    """Return the setting's type, and whether it may be unset."""
    annotation = str(FIELDS[name].type)
    return _KINDS[annotation.removesuffix(_OR_UNSET)], annotation.endswith(_OR_UNSET)


def _is_nothing(kind: type, value: Any) -> bool:
    """Tell whether ``value`` unsets a setting that may be unset: null, or as Python and people write it."""
    if kind is str:
        return value is None or value == ""
    return value is None or str(value).lower() in _NOTHING
