"""The row under everything: a spinner, what is being waited for, for how long, and which line of the code runs."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

from sandbox_interpreter.terminal.escape import reveal
from sandbox_interpreter.terminal.panel import Panel
from sandbox_interpreter.terminal.rows import cropped, rows_of

_PATIENCE = 0.25
"""Seconds without anything new after which the row appears."""
_TURN = 0.8
"""Seconds that the spinner takes for one turn."""
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_HINT_AFTER = 3.0
"""Seconds of waiting after which the way out is named."""


class Status:
    """What is being waited for, and since when."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._what = ""
        self._since = self._touched = time.monotonic()
        self._growing = False
        self._code: Panel | None = None
        self._line: int | None = None

    def wait(self, what: str) -> None:
        """Wait for ``what``, a few words, from now on; "" for nothing."""
        if what != self._what:
            self._what, self._since = what, time.monotonic()

    def code(self, panel: Panel) -> None:
        """Take ``panel`` as the code that runs next."""
        self._code, self._line = panel, None

    def mark(self, line: int | None) -> None:
        """Take the line of that code which runs."""
        self._line = line

    def grow(self) -> None:
        """Note that text is being written, which is sign enough of life while it flows."""
        self._growing = True
        self.touch()

    def settle(self) -> None:
        """Note that the text is whole."""
        self._growing = False

    def touch(self) -> None:
        """Note that something new is on the screen."""
        self._touched = time.monotonic()

    def moves(self) -> bool:
        """Tell whether the row is there, and so changes with time."""
        started = max(self._touched, self._since) if self._growing else self._since
        return bool(self._what) and time.monotonic() - started >= _PATIENCE

    def rows(self, width: int, *, code_is_live: bool) -> list[str]:
        """Return the row, or nothing. The line that runs is in it unless the live code shows it."""
        if not self.moves():
            return []
        now = time.monotonic()
        spinner = _SPINNER[int(now / _TURN * len(_SPINNER)) % len(_SPINNER)]
        words = f" {self._what}{_duration(now - self._since)}"
        if self._line is not None and self._code is not None and not (code_is_live and self._code.shows(self._line)):
            words += f" · line {self._line}: {self._code.line(self._line).strip()}"
        elif now - self._since >= _HINT_AFTER:
            words += " · Ctrl-C to stop"
        text = Text.assemble((spinner, "cyan"), (cropped(reveal(words).expandtabs(1), width - 1), "dim"))
        return rows_of(self._console, text, width)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    return f" {minutes} min {rest} s" if minutes else f" {rest} s"
