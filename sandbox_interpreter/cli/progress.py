"""How far long work is: a bar on a terminal, plain lines elsewhere, both on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from sandbox_interpreter.cli import report
from sandbox_interpreter.engines.image_base import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_WIDTH = 100
"""Cells of a plain line; a build step is one line of any length."""

_COUNTED = 1000
"""Totals from here on are bytes: no build has as many steps, no image as few bytes."""


class View(Protocol):
    """What shows the steps of long work."""

    def update(self, step: Progress) -> None:
        """Show where the work is now: what has no total is an announcement, and stays."""


def show(steps: Iterable[Progress], *, plain: bool = False) -> None:
    """Work through ``steps`` while showing them. Raises whatever the work raises."""
    with view(plain=plain) as shown:
        for step in steps:
            shown.update(step)


def view(*, plain: bool = False) -> AbstractContextManager[View]:
    """Return a view that ends with its with block: a bar where stderr is a terminal that can draw one.

    ``plain``, NO_COLOR, a dumb terminal or none at all means lines.
    """
    can_draw = sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return Lines() if plain or not can_draw or os.environ.get("NO_COLOR") else MovingBar()


class Lines:
    """A line for each announcement and each new count."""

    def __enter__(self) -> Lines:
        """Begin; nothing is shown yet."""
        self._count = (0, 0)
        return self

    def __exit__(self, *_: object) -> None:
        """End; lines need no cleaning up."""

    def update(self, step: Progress) -> None:
        """Print the step if it says something new; bytes of a download move too often for a log."""
        if not step.total:
            report.say(step.text)
        elif step.total < _COUNTED and (step.done, step.total) != self._count:
            from sandbox_interpreter.terminal.rows import cropped

            self._count = (step.done, step.total)
            report.say(cropped(f"  {step.done}/{step.total} {step.text}", _WIDTH))


class MovingBar:
    """One bar at the bottom with the latest line beside it; announcements stay above, the bar goes at the end.

    It appears with the first step, so that work which finds nothing to do shows nothing.
    """

    def __enter__(self) -> MovingBar:
        """Begin; the display appears with the first step."""
        self._bar: Bar | None = None
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: Progress) -> None:
        """Move the bar, or print an announcement above it."""
        if self._bar is None:
            self._begin()
        assert self._bar is not None
        if step.total:
            self._bar.update(self._task, completed=step.done, total=step.total, line=step.text)
        else:
            from rich.text import Text

            self._console.print(Text(step.text))
            self._bar.reset(self._task, total=None, line="")

    def _begin(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar
        from rich.table import Column

        line = TextColumn("{task.fields[line]}", markup=False, table_column=Column(ratio=1, no_wrap=True))
        self._console: Console = Console(stderr=True)
        self._bar = Bar(BarColumn(20), TimeElapsedColumn(), line, console=self._console, expand=True, transient=True)
        self._task: TaskID = self._bar.add_task("", total=None, line="")
        self._bar.start()
