"""The values of settings: how they are written by people, in flags and variables, and how they get their type."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from sandbox_interpreter.frozen import frozen

ENV_PREFIX = "SBI_"
_SHOWN = 80
"""Characters of a wrong value that its error repeats."""


@frozen
class Spelling:
    """How a setting is written where it was found: ``--env-file X``, ``SBI_ENV_FILE=X``, ``env_file: X``."""

    name: str
    between: str

    def __call__(self, value: Any) -> str:
        """Return an assignment of ``value``."""
        return f"{self.name}{self.between}{value}"


def as_flag(name: str) -> Spelling:
    """Return how setting ``name`` is written on a command line."""
    return Spelling("--" + name.replace("_", "-"), " ")


def as_variable(name: str) -> Spelling:
    """Return how setting ``name`` is written in the environment."""
    return Spelling(ENV_PREFIX + name.upper(), "=")


def said(value: Any) -> str:
    """Return ``value`` as an error repeats it: quoted, and not at endless length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def check_address(text: str) -> None:
    """Raise ValueError for what is no address of an HTTP server; "" is none, and right."""
    if text and not re.match(r"https?://[^/\s]", text):
        raise ValueError(f"{said(text)} is no address; one begins with http:// or https://")


def check_name(text: str) -> None:
    """Raise ValueError for a name that is empty: what an unset variable of a shell leaves."""
    if not text.strip():
        raise ValueError("it is empty")


def parse_size(text: str) -> int:
    """Return the bytes that ``512m``, ``1.5g``, ``64k`` or a plain number mean. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*", text.lower())
    if not match:
        raise ValueError(f"{said(text)} is not a size; write it like 512m or 1g")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2] or " "))


def format_size(size: int) -> str:
    """Return ``size`` bytes as ``parse_size`` reads it, in the largest unit that is exact."""
    for power, unit in ((4, "t"), (3, "g"), (2, "m"), (1, "k")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{unit}"
    return str(size)


def written(value: Any, *, size: bool = False) -> str:
    """Return a setting's value as people write it; "nothing" for one that is not set."""
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.15g}"
    return "nothing" if value is None else format_size(value) if size else str(value)


def parse_locks(entries: Collection[str]) -> dict[str, str]:
    """Return the digest by the name of each image that ``NAME=sha256:…`` entries lock. Raises ValueError."""
    for entry in entries:
        if not _LOCK.fullmatch(entry):
            raise ValueError(f"{said(entry)} is not an image's name and its digest")
    return {name: digest for name, _, digest in (entry.rpartition("=") for entry in entries)}


_LOCK = re.compile(r"[^\s=]+=sha256:[0-9a-f]{64}")
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}
_NOUNS: Mapping[type, str] = {int: "a whole number", float: "a number", str: "text"}


def as_type(kind: type, value: Any, *, size: bool = False) -> Any:
    """Return ``value`` as ``kind``: bool, int, float, str, or tuple (of texts); with ``size``, from text like ``1g``.

    Raises ValueError whose text says what was given and why it does not fit.
    """
    if kind is tuple:
        return _texts(value)
    if size and isinstance(value, str):
        return parse_size(value)
    if kind is bool:
        return _truth(value)
    problem = ValueError(f"{said(value)} is not {_NOUNS[kind]}")
    if kind is str:
        if not isinstance(value, str):
            raise problem
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise problem
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise problem
    try:
        return kind(value)
    except ValueError:
        raise problem from None


def _truth(value: Any) -> bool:
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{said(value)} is neither true nor false")
    return word in _TRUE


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(text.strip() for text in value.split(",") if text.strip())
    if isinstance(value, Mapping):
        return tuple(f"{name}={text}" for name, text in value.items())
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"{said(value)} is not a list of texts")
    return tuple(value)
