"""Flags as data, and a small parser of them for the one command whose start is measured in milliseconds.

Typer costs `sbi run` 75 ms, most of it for type machinery that plain texts do not need: a quarter of what the engine's
own command takes to run a container. So a flag is a record here, from which both this parser and Typer's are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.frozen import frozen


@frozen
class Flag:
    """One flag. ``name`` is the setting's (env_file); no ``metavar`` makes it a switch; ``many`` may be repeated."""

    name: str
    metavar: str
    explanation: str
    short: str = ""
    many: bool = False

    @property
    def spelling(self) -> str:
        """Return the flag as it is typed: ``--env-file``."""
        return "--" + self.name.replace("_", "-")

    def option(self) -> Any:
        """Return the flag as Typer wants it."""
        import typer

        names = (self.spelling, self.short) if self.short else (self.spelling,)
        return typer.Option(*names, metavar=self.metavar or None, help=self.explanation, show_default=False)

    def annotation(self) -> Any:
        """Return the type of a parameter that Typer fills from this flag; None or False where it is not given."""
        kind: Any = (list[str] | None if self.many else str | None) if self.metavar else bool
        return Annotated[kind, self.option()]


@dataclass
class Parsed:
    """A command line in its parts: a value by each flag's name that was given, and the words from the first one on."""

    values: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str], flags: Iterable[Flag]) -> Parsed:
    """Return ``arguments`` in parts. Flags end at the first word, or at ``--``: what follows is another program's.

    ``--env_file X``, ``--env-file X``, ``--env-file=X``, ``-w X`` and ``-wX`` are understood. Raises UsageError.
    """
    known = {spelling: flag for flag in flags for spelling in (flag.spelling, flag.short) if spelling}
    parsed = Parsed()
    rest = list(arguments)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        argument = rest.pop(0)
        if argument == "--":
            break
        name, value = _split(argument)
        _take(parsed, name, value, rest, known)
    parsed.words = rest
    return parsed


def _split(argument: str) -> tuple[str, str | None]:
    """Return the flag's name and the value that is glued to it, if any."""
    if argument.startswith("--"):
        name, equals, value = argument.partition("=")
        return name.replace("_", "-"), value if equals else None
    return argument[:2], argument[2:] or None


def _take(parsed: Parsed, name: str, value: str | None, rest: list[str], known: dict[str, Flag]) -> None:
    flag = known.get(name)
    if flag is None:
        raise UsageError(f"There is no flag {name}.", next_step=_nearest(name, known))
    if not flag.metavar:
        if value is not None:
            raise UsageError(f"{name} takes no value.", next_step=f"Write {name} alone.")
        parsed.values[flag.name] = True
        return
    if value is None:
        if not rest:
            raise UsageError(f"{name} needs a value.", next_step=f"Write {name} {flag.metavar}.")
        value = rest.pop(0)
    if flag.many:
        parsed.values.setdefault(flag.name, []).append(value)
    else:
        parsed.values[flag.name] = value


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # only where there is a mistake to mend

    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else "See: sbi run --help"
