"""Tasks on their way: a table that moves on a terminal, lines elsewhere. Names and reasons are hostile text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Protocol, Self

from sandbox_interpreter.tasks.results import Status, TaskResult
from sandbox_interpreter.terminal.escape import reveal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

_WORDS: Mapping[Status, str] = {"passed": "PASS", "failed": "FAIL", "error": "ERROR", "skipped": "SKIP"}
_STYLES: Mapping[Status, str] = {"passed": "green", "failed": "red", "error": "yellow", "skipped": "dim"}
_MOST_OUTPUT = 20
"""Lines of the output of a task that did not pass, in a log."""
_MOST_ROWS = 12
"""Running tasks that the table shows; the others are counted."""
_TICK = 0.25


class Screen(Protocol):
    """A board in a context."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *_: object) -> None:
        """End; what is on it stays."""

    def started(self, name: str) -> None:
        """Show that a task runs."""

    def ended(self, result: TaskResult) -> None:
        """Show what it came to."""


class LineBoard:
    """A line for each task that has ended, and the end of its output if it did not pass."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._file.flush()

    def started(self, name: str) -> None:
        """Say nothing: who reads a log wants to know what happened."""

    def ended(self, result: TaskResult) -> None:
        """Write the line."""
        for line in lines(result):
            self._file.write(line + "\n")
        self._file.flush()


def lines(result: TaskResult) -> Iterator[str]:
    """Yield a result as the lines of a log. None begins with what a task wrote, which a CI server might obey."""
    yield f"{_WORDS[result.status]:5} {_plain(result.name)} ({result.seconds:.1f} s{result.tries})"
    if result.status == "passed":
        return
    for line in result.reason.splitlines():
        yield f"      | {_plain(line)}"
    if result.status == "skipped":
        return
    for check in result.checks:
        if not check.passed:
            for line in check.output.splitlines()[-_MOST_OUTPUT:]:
                yield f"      | {_plain(check.name)}: {_plain(line)}"
    for line in result.output.splitlines()[-_MOST_OUTPUT:]:
        yield f"      | {_plain(line)}"


def _plain(text: str) -> str:
    """Return text of a stranger for a log, without what GitHub takes for a command anywhere in a line."""
    return reveal(text.replace("\n", " ")).replace("##[", "## [")


class TableBoard:
    """Lines for tasks that have ended, as they end; under them a live table of those that run, and the count."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._done = 0
        self._failed = 0
        self._running: dict[str, float] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.live import Live

        self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=1 / _TICK,
                          transient=True)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def started(self, name: str) -> None:
        """Put a task into the table."""
        self._running[name] = time.monotonic()

    def ended(self, result: TaskResult) -> None:
        """Take a task out of the table, and print its line above."""
        from rich.text import Text

        self._running.pop(result.name, None)
        self._done += 1
        self._failed += result.status in ("failed", "error")
        head, *rest = lines(result)
        self._console.print(Text(head, style=_STYLES[result.status]), soft_wrap=True)
        for line in rest:
            self._console.print(Text(line, style="dim"), soft_wrap=True)

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        now = time.monotonic()
        running = dict(self._running)  # another thread draws
        for name, begun in list(running.items())[:_MOST_ROWS]:
            table.add_row(Text("▶", style="cyan"), Text(_plain(name), overflow="ellipsis", no_wrap=True),
                          Text(f"{now - begun:.0f} s", style="dim"))
        more = f", {len(running) - _MOST_ROWS} more run" if len(running) > _MOST_ROWS else ""
        failed = f", {self._failed} did not pass" if self._failed else ""
        table.add_row("", Text(f"{self._done} of {self._total}{failed}{more}", style="bold"), "")
        return table
