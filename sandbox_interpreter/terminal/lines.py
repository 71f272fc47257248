"""Cuts a program's output into finished lines and the one that still grows, with carriage returns carried out.

The text must have passed ``escape.Filter``. A carriage return moves within the line that grows and nowhere else, so
a progress bar ends up as its last state while earlier lines and prompts are out of its reach.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from rich.cells import get_character_cell_size

from sandbox_interpreter.terminal.escape import RESET, STYLE, clears

_LONGEST = 64 * 1024
"""Characters that one line may grow to before it is cut; more is no line that anybody reads as one."""
_STYLES = 8
"""Style sequences remembered since the last reset: more than two colours and the attributes in use."""
_MARKS = 8
"""Combining characters kept on one cell; no script needs as many."""
_TAB = 8

_LINE_ENDS = re.compile("\r+\n")
_RESETS = ("\x1b[m", "\x1b[0m", "\x1b[0;", "\x1b[;")


class Pen:
    """The style that text has been put into so far, as the sequences that lead there."""

    def __init__(self) -> None:
        self._sequences: deque[str] = deque(maxlen=_STYLES)

    def __str__(self) -> str:
        return "".join(self._sequences)

    def follow(self, text: str) -> None:
        """Take over the style changes in ``text``."""
        for match in STYLE.finditer(text) if "\x1b" in text else ():
            if match[0].startswith(_RESETS):
                self._sequences.clear()
            if not clears(match[0]):
                self._sequences.append(match[0])


class Row:
    """One line as a terminal holds it: cells that can be written again after a carriage return."""

    def __init__(self) -> None:
        self._cells: list[tuple[str, str]] = []  # style and character; the right half of a wide one has character ""
        self._column = 0

    def __len__(self) -> int:
        return len(self._cells)

    def write(self, text: str, pen: Pen) -> None:
        """Write ``text``, and let ``pen`` follow its styles."""
        position = 0
        for match in STYLE.finditer(text):
            self._write(text[position:match.start()], str(pen))
            pen.follow(match[0])
            position = match.end()
        self._write(text[position:], str(pen))

    def __str__(self) -> str:
        """Return the line; each run of one style begins with its sequences and ends with a reset."""
        return "".join(self._runs())

    def _runs(self) -> Iterator[str]:
        current = ""
        for style, character in self._cells:
            if style != current:
                yield (RESET if current else "") + style
                current = style
            yield character
        if current:
            yield RESET

    def _write(self, text: str, style: str) -> None:
        for character in text:
            if character == "\r":
                self._column = 0
            elif character == "\t":
                self._column += _TAB - self._column % _TAB
                self._reach(self._column)
            else:
                self._put(character, style, get_character_cell_size(character))

    def _put(self, character: str, style: str, width: int) -> None:
        if width == 0:
            self._combine(character)
            return
        end = self._column + width
        self._reach(end)
        if self._cells[self._column][1] == "" and self._column:
            self._cells[self._column - 1] = ("", " ")  # the left half of a wide character that is cut in two
        if end < len(self._cells) and self._cells[end][1] == "":
            self._cells[end] = ("", " ")  # the right half of one
        self._cells[self._column:end] = [(style, character), (style, "")][:width]
        self._column = end

    def _combine(self, mark: str) -> None:
        place = self._column - 1
        while place > 0 and self._cells[place][1] == "":
            place -= 1
        if place >= 0 and len(self._cells[place][1]) <= _MARKS:
            style, character = self._cells[place]
            self._cells[place] = (style, character + mark)

    def _reach(self, column: int) -> None:
        self._cells += [("", " ")] * (column - len(self._cells))


class Lines:
    """The line buffer of one output block. No style leaks from what it returns into what is written next."""

    def __init__(self) -> None:
        self._pen = Pen()
        self._growing = ""  # as it came, while it holds no carriage return
        self._row: Row | None = None  # the same once it does

    def feed(self, text: str) -> str:
        """Return the lines that ``text`` finishes, each with its newline; "" if there are none."""
        finished = ""
        if self._row is not None:
            first, newline, text = text.partition("\n")
            self._row.write(first, self._pen)
            if not newline and len(self._row) <= _LONGEST:
                return ""
            finished = self._end_row()
        head, newline, rest = _LINE_ENDS.sub("\n", self._growing + text).rpartition("\n")
        self._growing = ""
        if newline:
            finished += self._finish(head + "\n")
        return finished + self._grow(rest)

    def preview(self) -> str:
        """Return the line that still grows, as it looks now."""
        if self._row is not None:
            return str(self._row)
        line = str(self._pen) + self._growing
        return line + RESET if "\x1b" in line else line

    def close(self) -> str:
        """Return the line that still grows, finished; "" if it is empty."""
        if self._row is not None:
            return self._end_row()
        rest, self._growing = self._growing, ""
        return self._finish(rest + "\n") if rest else ""

    def _grow(self, rest: str) -> str:
        if "\r" in rest:
            self._row = Row()
            self._row.write(rest, self._pen)
        elif len(rest) > _LONGEST:
            return self._finish(rest + "\n")
        else:
            self._growing = rest
        return ""

    def _end_row(self) -> str:
        line, self._row = f"{self._row}\n", None
        return line

    def _finish(self, text: str) -> str:
        if "\r" not in text:
            return self._styled(text)
        return "".join(self._overwritten(line) if "\r" in line else self._styled(line + "\n")
                       for line in text[:-1].split("\n"))

    def _overwritten(self, line: str) -> str:
        row = Row()
        row.write(line, self._pen)
        return f"{row}\n"

    def _styled(self, text: str) -> str:
        before = str(self._pen)
        self._pen.follow(text)
        return before + text.removesuffix("\n") + (RESET if str(self._pen) else "") + "\n"
