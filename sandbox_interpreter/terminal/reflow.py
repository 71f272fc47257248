"""A prompt that stands on the screen while its window changes.

Terminals wrap what they show when they become narrower, so a row of the prompt becomes several; prompt_toolkit goes up
by the rows that it has drawn, which is not far enough then, and a copy of the first ones stays.
"""

from __future__ import annotations

from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Point
from prompt_toolkit.layout.screen import Screen

# Row by row: tmux takes the clearing of a whole screen for the end of what is on it, and keeps that above.
_ERASE_BELOW, _ERASE_ROW, _UP = "\x1b[J", "\x1b[2K", "\x1b[A"


def follow(app: Application[Any]) -> None:
    """Let ``app`` erase all that it has drawn, and nothing else, when its window has changed."""
    redraw, drawn = app._on_resize, 0

    def remember(_: object) -> None:
        nonlocal drawn
        drawn = app.output.get_size().columns

    def on_resize() -> None:
        renderer, columns = app.renderer, app.output.get_size().columns
        if renderer.last_rendered_screen is not None:
            cursor = renderer._cursor_pos
            up = rows_above(renderer.last_rendered_screen, cursor, columns) if columns < drawn else cursor.y
            app.output.write_raw(_ERASE_BELOW + "\r" + _ERASE_ROW + (_UP + _ERASE_ROW) * up)
            renderer._cursor_pos = Point(x=0, y=0)
        redraw()

    app.after_render += remember
    app._on_resize = on_resize  # type: ignore[method-assign]  # it has no event for what comes before the erasing


def rows_above(screen: Screen, cursor: Point, columns: int) -> int:
    """Return how many rows under the screen's first one the cursor is once they are wrapped to ``columns``."""
    above = sum(max(1, -(-_width(screen, row) // columns)) for row in range(cursor.y))
    return above + cursor.x // columns


def _width(screen: Screen, row: int) -> int:
    cells = screen.data_buffer[row]  # an empty one where nothing was drawn
    return max((column + cell.width for column, cell in cells.items() if cell.char != " "), default=0)
