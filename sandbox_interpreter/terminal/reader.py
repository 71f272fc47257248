"""Where prompts come from: a line editor on a terminal, plain lines elsewhere."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sandbox_interpreter.config import Settings
from sandbox_interpreter.terminal.opening import Opening
from sandbox_interpreter.terminal.plainness import is_dumb
from sandbox_interpreter.terminal.triple_quotes import is_open

_PROMPT, _CONTINUED = "> ", "| "


class Reader(Protocol):
    """Somebody, or something, who types."""

    def read(self) -> str:
        """Return the next prompt, of one line or several. Raises EOFError at the end, KeyboardInterrupt for Ctrl-C.

        Whatever comes of it, the cursor is at the beginning of a line then.
        """


class PlainReader:
    """Reads lines, and writes what it asks for as plain text."""

    def __init__(self, *, when_shown: Callable[[], object] = lambda: None) -> None:
        with suppress(ImportError):
            import readline  # noqa: F401  # importing it gives input() editing, and history for as long as it runs
        self._when_shown: Callable[[], object] | None = when_shown

    def read(self) -> str:
        """Return the next prompt."""
        call, self._when_shown = self._when_shown, None
        if call:
            call()
        try:
            text = _line(_PROMPT)
            while is_open(text):
                text += "\n" + _line(_CONTINUED)
        except (EOFError, KeyboardInterrupt):
            sys.stdout.write("\n")
            sys.stdout.flush()
            raise
        return text


def _line(prompt: str) -> str:
    if not _typed_ahead():
        return input(prompt)
    # A line that is there already is read as the terminal gives it: readline, which would switch that to single keys
    # now, gets a NUL for a Ctrl-D that was typed before.
    sys.stdout.write(prompt)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _typed_ahead() -> bool:
    with suppress(OSError, ValueError):  # no descriptor, as in a notebook
        return sys.stdin.isatty() and bool(select.select([sys.stdin], [], [], 0)[0])
    return False


def reader(opening: Opening, *, when_shown: Callable[[], object]) -> Reader:
    """Return the reader that fits the terminal; ``when_shown`` is called once, when its first prompt waits."""
    if not _can_edit(opening.settings):
        return PlainReader(when_shown=when_shown)
    from sandbox_interpreter.terminal.completion import PromptCompleter
    from sandbox_interpreter.terminal.line_editor import LineEditor

    def workspace() -> Path | None:
        return opening.made.workbench.workspace if opening.made else None

    def without_secrets(text: str) -> str:
        return opening.interpreter.workbench.journal.without_secrets(text)

    return LineEditor(PromptCompleter(workspace), without_secrets, when_shown=when_shown)


def _can_edit(settings: Settings) -> bool:
    streams = (sys.stdin, sys.stdout)
    return not settings.plain and not is_dumb() and all(
        stream is not None and not stream.closed and stream.isatty() for stream in streams)
