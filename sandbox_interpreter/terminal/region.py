"""The live region: the few rows at the bottom of the screen that are drawn again; all that is above them is final.

A region is never taller than the screen, so every redraw reaches its first row. That is why no block can appear
twice: what has scrolled away was written once and is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
# DEC private mode 7: a row that the terminal takes for wider than we do is cut, and does not push the others down.
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"
# DEC private mode 2026: the terminal shows the change at once, without flicker; others ignore it.
_TOGETHER, _DONE = "\x1b[?2026h", "\x1b[?2026l"
# Row by row: erasing all below the cursor would, from the screen's first row, copy it into the scrollback of some.
_ERASE_ROW, _UP = "\x1b[2K", "\x1b[A"

_ESCAPES = re.compile(r"\x1b\[[0-9;:]*[mK]")
"""What rows are styled and filled with."""


class Region:
    """Rows under the cursor's control. Not thread-safe: whoever shares it holds a lock."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[str] = []
        self._width = console.width
        self._below = 0

    @property
    def height(self) -> int:
        """Return the number of rows that a region may have now."""
        return max(1, self._console.height - 1)

    def update(self, rows: Sequence[str], above: str = "") -> None:
        """Write ``above`` (whole lines) for good, and show ``rows`` under it in place of those shown before."""
        rows = list(rows)[-self.height:]
        if rows == self._rows and not above and not self._below:
            return
        # What is shorter now, or was written by others below, would leave something behind.
        same_place = (not above and not self._below and len(rows) >= len(self._rows)
                      and self._console.width == self._width)
        drawn = "\n".join("\r" + _ERASE_ROW + row for row in rows)
        self._write(_TOGETHER, self._back(erase=not same_place), above,
                    f"{_HIDE_CURSOR}{_WRAP_OFF}{drawn}{_WRAP_ON}" if rows else _SHOW_CURSOR, _DONE)
        self._rows, self._below, self._width = rows, 0, self._console.width

    def release(self) -> None:
        """Leave the rows as they are and put the cursor under them, for someone else to write there."""
        if self._rows:
            self._write("\n", _SHOW_CURSOR)

    def take_back(self, below: int) -> bool:
        """Take control again after ``release``, the cursor being ``below`` rows under where it was put.

        Return False where the region's first row is out of reach.
        """
        self._below = below + 1
        return bool(self._rows) and self._height_now() + below < self._console.height

    def forget(self) -> None:
        """Let the rows be final as they are; the cursor stands at the beginning of a row of its own."""
        self._rows, self._below = [], 0

    def _back(self, *, erase: bool) -> str:
        """Return the way to the first cell of the region."""
        if not self._rows:
            return ""
        up = self._height_now() - 1 + self._below
        return "\r" + _ERASE_ROW + (_UP + _ERASE_ROW) * up if erase else "\r" + _UP * up

    def _height_now(self) -> int:
        width = max(1, self._console.width)
        if width >= self._width:
            return len(self._rows)
        # The window became narrower: terminals wrap what they show, so a row may have become several.
        wrapped = sum(max(1, -(-cell_len(_ESCAPES.sub("", row)) // width)) for row in self._rows)
        return min(wrapped, self._console.height)

    def _write(self, *parts: str) -> None:
        self._console.file.write("".join(parts))
        self._console.file.flush()
