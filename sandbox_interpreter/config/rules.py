"""What the settings file of a project may do with a setting before the user has trusted it.

Whoever clones a repository has not read its .sbi.yaml. So such a file may only tighten: what it says must allow no
more than what is in force without it. Each rule compares the two values, and every setting has one; a setting whose
declaration names none may not be changed at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sandbox_interpreter.network import narrows
from sandbox_interpreter.sandbox.policy import split_access


class Rule(NamedTuple):
    """A rule in words that end the sentence "this file …", and as a test of the two values."""

    words: str
    allows: Callable[[Any, Any], bool]
    """Tells whether the project's value (first) allows no more than the one in force without it (second)."""


def _is_lower(value: Any, other: Any) -> bool:
    return other is None or (value is not None and bool(value <= other))


def _is_lower_or_limited(value: Any, other: Any) -> bool:
    return bool(value == other or (value != 0 and (other == 0 or value < other)))


def _is_same_or_read_only(value: str | None, other: str | None) -> bool:
    if value is None or other is None:
        return value is other
    return value == other or split_access(value) == (split_access(other)[0], "ro")


_SAFE_MODES = ("off", "ask", "auto")

FREELY = Rule("may set it", lambda _value, _other: True)
LOWER = Rule("may only lower it", _is_lower)
LOWER_OR_LIMIT = Rule("may only lower it", _is_lower_or_limited)
"""For settings whose 0 means that there is no limit."""
OFF = Rule("may only turn it off", lambda value, other: not value or other)
STRICTER = Rule("may only make it stricter", lambda value, other: _SAFE_MODES.index(value) >= _SAFE_MODES.index(other))
NETWORK = Rule("may only narrow it", narrows)
MORE = Rule("may only add to it", lambda value, other: set(other) <= set(value))
READ_ONLY = Rule("may only make it read-only", _is_same_or_read_only)
TRUSTED = Rule("may not set it", lambda value, other: bool(value == other))
"""The rule of every setting that declares no other."""
