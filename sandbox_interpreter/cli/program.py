"""What `sbi run` is to run: its language, its source, its name and its arguments."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox_interpreter import languages, reading
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.frozen import frozen

_EXAMPLES = "For example: sbi run script.py   echo 'print(1)' | sbi run -   sbi run -c 'print(1)'"
_INLINE_LANGUAGE = "python"


@frozen
class Program:
    """A program to run. ``name`` is what tracebacks call it; an absolute one is its path in the container.

    ``uses_stdin``: its source came from stdin, so that there is nothing left for it to read there.
    """

    language: str
    source: str
    name: str
    arguments: tuple[str, ...]
    uses_stdin: bool = False


def choose(words: Sequence[str], *, code: str | None, language: str | None, workspace: Path | None) -> Program:
    """Return the program of ``sbi run [FILE|-] [ARGS...]``; ``code`` is that of -c, and then all words are ARGS.

    ``workspace`` is the folder that is mounted: a FILE in it runs under its path there. Raises UsageError.
    """
    named = languages.find(language).name if language is not None else None
    if code is not None:
        return Program(named or _INLINE_LANGUAGE, code, "main", tuple(words))
    if not words and os.isatty(0):
        raise UsageError("There is nothing to run.", next_step=_EXAMPLES)
    file, *arguments = words or ["-"]
    if file == "-":
        return Program(named or _INLINE_LANGUAGE, _text(sys.stdin.buffer.read(), "stdin"), "main", tuple(arguments),
                       uses_stdin=True)
    path = Path(file)
    source = _read(path)
    return Program(named or _language_of(path), source, _name_inside(path, workspace), tuple(arguments))


def _read(path: Path) -> str:
    try:
        return _text(reading.read(path, reading.SOURCE), str(path))
    except FileNotFoundError:
        raise UsageError(f"There is no file {str(path)!r}.", next_step="To run code itself: sbi run -c CODE") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"The file {str(path)!r} cannot be read: {reading.reason(error)}.",
                         next_step=_EXAMPLES) from None


def _text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} is not UTF-8 text (byte {error.start}).",
                         next_step="Only source code can be run; save it as UTF-8.") from None


def _language_of(path: Path) -> str:
    language = languages.of_file(path)
    if language is None:
        known = ", ".join(suffix for language in languages.LANGUAGES for suffix in language.suffixes)
        raise UsageError(f"The name {path.name!r} does not tell its language.",
                         next_step=f"Say it: --lang python. Known suffixes: {known}")
    return language.name


def _name_inside(path: Path, workspace: Path | None) -> str:
    resolved = path.resolve()
    if workspace is not None and resolved.is_relative_to(workspace):
        return f"/workspace/{resolved.relative_to(workspace).as_posix()}"
    return path.name
