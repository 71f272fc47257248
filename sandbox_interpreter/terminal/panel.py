"""Code on the screen: a highlighted panel with numbered lines, in which the line that runs is marked."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from sandbox_interpreter.errors import UnknownLanguage
from sandbox_interpreter.languages import find
from sandbox_interpreter.terminal.escape import reveal
from sandbox_interpreter.terminal.rows import Drawn, fold, join, rows_of

_THEME = "monokai"
_BODY = "#f8f8f2 on #272822"
_TITLE = "bold #f8f8f2 on #3e3d32"
_NUMBER = "#75715e on #272822"
_ACTIVE = "on #49483e"
_ACTIVE_NUMBER = "bold #a6e22e on #49483e"
_NARROW = 16
"""Columns below which there is no room for numbers beside the code."""
_CONTEXT = 100
"""Lines before the first live one that are highlighted with it, so that a string that began there is known for one."""


class Panel:
    """A block of code. Everything of it is shown: long lines are folded, never cut; control characters are visible."""

    def __init__(self, console: Console, language: str, *, title: str) -> None:
        self._console = console
        self._language = language
        self._title = reveal(" ".join(title.split()))
        self._code = [""]
        self._final = 0  # lines of code that were returned for good
        self._digits = 2
        self._active: int | None = None
        self._seen: str | None = None  # the source that _lines is highlighted from
        self._lines: list[Text] = []
        self._fills: dict[str, str] = {}

    def feed(self, text: str) -> None:
        """Take the next piece of the code."""
        first, *others = reveal(text).split("\n")
        self._code[-1] += first
        self._code += others

    def mark(self, line: int | None) -> None:
        """Mark the 1-based ``line`` as the one that runs; None for none."""
        self._active = line

    def line(self, number: int) -> str:
        """Return a line of the code, "" if there is no such line."""
        return self._code[number - 1] if 0 < number <= len(self._code) else ""

    def shows(self, line: int) -> bool:
        """Tell whether a line can still be marked."""
        return line > self._final

    def draw(self, width: int, height: int) -> Drawn:
        """Return the first lines as final if not all fit, the others as rows."""
        lines = self._rendered(width, self._active)
        total, first = sum(map(len, lines)), 0
        while total > height and first < len(lines) - 1:
            total -= len(lines[first])
            first += 1
        final = self._rendered(width, None)[:first] if first else []
        self._finalise(first)
        return Drawn(join(self._rows(final, width)), self._rows(lines[first:], width))

    def close(self, width: int) -> str:
        """Return the lines that are not final yet, none of them marked."""
        lines = self._rendered(width, None)
        self._finalise(len(lines))
        return join(self._rows(lines, width))

    def _rows(self, lines: list[list[Text]], width: int) -> list[str]:
        texts = [row for line in lines for row in line]
        whole = Text("\n", no_wrap=True, overflow="crop").join(texts)  # each is folded already
        rows = rows_of(self._console, whole, width) if texts else []
        return [row + self._fill(str(text.style)) if text.cell_len < width else row
                for row, text in zip(rows, texts, strict=True)]

    def _fill(self, style: str) -> str:
        """Return what paints the rest of a row. It is no text, so nobody copies it and no window wraps it."""
        if style not in self._fills:
            sample = rows_of(self._console, Text("x", style), 1)[0]
            self._fills[style] = sample.replace("x", "\x1b[K")
        return self._fills[style]

    def _finalise(self, lines: int) -> None:
        self._digits = self._number_width()
        self._final += lines

    def _number_width(self) -> int:
        return self._digits if self._final else max(2, len(str(len(self._code))))

    def _rendered(self, width: int, active: int | None) -> list[list[Text]]:
        """Return the rows of each line that is not final; those of the first begin with the title."""
        lines = [self._numbered(number, text, width, active=number == active)
                 for number, text in enumerate(self._highlighted(), self._final + 1)]
        if not self._final:
            title = Text(set_cell_size(f" {self._title}", min(width, cell_len(self._title) + 1)), _TITLE)
            lines[:1] = [[title, *(lines[0] if lines else [])]]
        return lines

    def _highlighted(self) -> list[Text]:
        code = self._code if self._code[-1] else self._code[:-1]  # the newline that ends code begins no line
        start = max(0, self._final - _CONTEXT)
        source = "\n".join(code[start:])
        if source != self._seen:
            text = Syntax("", _lexer(self._language), theme=_THEME).highlight(source)
            self._seen, self._lines = source, list(text.split("\n", allow_blank=True))[:len(code) - start]
        return self._lines[self._final - start:]

    def _numbered(self, number: int, line: Text, width: int, *, active: bool) -> list[Text]:
        gutter, ground = (_ACTIVE_NUMBER, _ACTIVE) if active else (_NUMBER, _BODY)
        margin = f"{'▶' if active else ' '} {number:>{self._number_width()}}  " if width >= _NARROW else ""
        code = line.copy()
        code.expand_tabs(4)
        if active:
            code.stylize(ground)
        pieces = fold(code, max(1, width - len(margin)))
        return [Text.assemble((" " * len(margin) if place else margin, gutter), piece, style=ground)
                for place, piece in enumerate(pieces)]


def _lexer(language: str) -> str:
    """Return the highlighter of ``language``; none for one that cannot run anyway: the name is the model's choice."""
    try:
        return find(language).highlight
    except UnknownLanguage:
        return "text"
