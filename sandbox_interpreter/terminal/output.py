"""The output of a run on the screen: what is finished scrolls away, the line that grows stays live."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from sandbox_interpreter.terminal.escape import STYLE, Filter
from sandbox_interpreter.terminal.lines import Lines
from sandbox_interpreter.terminal.rows import Drawn, fold, rows_of


class Output:
    """A block of output. With ``hold``, lines stay live while they fit, so that the code above them can be redrawn."""

    def __init__(self, console: Console, *, hold: bool = False) -> None:
        self._console = console
        self._hold = hold
        self._filter = Filter()
        self._lines = Lines()
        self._finished = ""

    def feed(self, text: str) -> None:
        """Take output of the program."""
        self._finished += self._lines.feed(self._filter.feed(text))

    def draw(self, width: int, height: int) -> Drawn:
        """Return the finished lines as final, unless they are held and fit; the rest as rows."""
        growing = self._rows(self._lines.preview(), width, height)
        if self._hold and self._finished.count("\n") + len(growing) <= height:
            held = [row for line in self._finished.splitlines() for row in self._rows(line, width, height) or [""]]
            if len(held) + len(growing) <= height:
                return Drawn("", held + growing)
        return Drawn(self._take(), growing[-height:])

    def close(self, _width: int) -> str:
        """Return what is left, with a newline at its end."""
        self._finished += self._lines.feed(self._filter.close())
        return self._take() + self._lines.close()

    def _take(self) -> str:
        finished, self._finished, self._hold = self._finished, "", False
        return finished

    def _rows(self, line: str, width: int, height: int) -> list[str]:
        if not line:
            return []
        most = width * (height + 1)
        if len(line) > 4 * most:  # only its end can be seen; its styles are not worth the work
            line = STYLE.sub("", line)[-most:]
        text = Text.from_ansi(line, overflow="fold")
        text.expand_tabs(8)
        return [row for piece in fold(text, width) for row in rows_of(self._console, piece, width)]
