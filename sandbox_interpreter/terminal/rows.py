"""Rows: what a block on the screen is made of. A row is one line of the screen, with the escapes of its own styles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rich.cells import cell_len, get_character_cell_size, set_cell_size
from rich.console import Console, RenderableType
from rich.segment import Segment, Segments
from rich.text import Text


@dataclass(frozen=True)
class Drawn:
    """A block as it is now: ``above`` is text (whole lines) to write once and for good, ``rows`` may still change."""

    above: str
    rows: list[str]


class Block(Protocol):
    """Something on the screen that grows: prose, code, or output."""

    def feed(self, text: str) -> None:
        """Take the next piece of what came from the model or the sandbox, as it is."""

    def draw(self, width: int, height: int, /) -> Drawn:
        """Return what is new for good, and at most ``height`` rows of ``width`` cells that may change."""

    def close(self, width: int, /) -> str:
        """Return all that was not returned as ``above`` yet; nothing is fed after this."""


def rows_of(console: Console, renderable: RenderableType, width: int) -> list[str]:
    """Return ``renderable`` as rows of at most ``width`` cells."""
    lines = console.render_lines(renderable, console.options.update(width=max(1, width), height=None), pad=False)
    newline = Segment.line()
    with console.capture() as capture:
        console.print(Segments([part for line in lines for part in (*line, newline)]), end="", crop=False)
    return capture.get().split("\n")[:-1]


def fold(text: Text, width: int) -> list[Text]:
    """Return ``text``, one line without tabs, cut into pieces of at most ``width`` cells, as a terminal wraps it."""
    cuts, cells = [], 0
    for position, character in enumerate(text.plain):
        size = get_character_cell_size(character)
        if cells + size > width and cells:
            cuts.append(position)
            cells = 0
        cells += size
    return list(text.divide(cuts))


def cropped(text: str, width: int) -> str:
    """Return ``text``, one line without tabs; where it is wider than ``width`` cells, its beginning with a mark."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 1)) + "…"


def join(rows: list[str]) -> str:
    """Return ``rows`` as lines of text."""
    return "".join(row + "\n" for row in rows)
