"""A program in a real pseudo-terminal, and the screen that a person would see of it."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import termios
import time
from collections.abc import Callable, Mapping
from typing import Self

import pexpect
import pyte


class Terminal:
    """Runs ``command`` in a pseudo-terminal of ``columns`` x ``rows`` and keeps its screen and scrollback."""

    def __init__(self, command: list[str], *, columns: int = 80, rows: int = 24, env: Mapping[str, str] | None = None,
                 cwd: str | None = None) -> None:
        clean = {name: value for name, value in os.environ.items()
                 if not re.match(r"NO_COLOR|TMUX|TERM|COLORTERM|KITTY|LC_TERMINAL|STY|COLUMNS|LINES", name)}
        self._child = pexpect.spawn(command[0], command[1:], dimensions=(rows, columns), encoding="utf-8", timeout=None,
                                    cwd=cwd, env=clean | {"TERM": "xterm-256color"} | dict(env or {}))
        self._child.delaybeforesend = None
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000, ratio=0.5)
        self._stream = pyte.Stream(self._screen)
        self._modes: int | None = None  # those that the program left
        self.raw = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.close(force=True)

    @property
    def pid(self) -> int:
        """Return the program's process identifier."""
        assert self._child.pid is not None
        return self._child.pid

    def send(self, text: str) -> None:
        """Type ``text``."""
        self._child.send(text)

    def hang_up(self) -> None:
        """Close the window: the program's terminal is gone."""
        self._child.ptyproc.fileobj.close()  # type: ignore[attr-defined]  # the stubs leave ptyproc out

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        self._child.setwinsize(rows, columns)
        self._screen.resize(rows, columns)

    def narrow(self, columns: int) -> None:
        """Make the window narrower as most terminals do it: rows that are too long wrap, and so become several."""
        above, rows, cursor = len(self._screen.history.top), self.rows, self._screen.cursor
        row, at = rows[above + cursor.y].ljust(cursor.x), cursor.x
        self._screen = pyte.HistoryScreen(columns, self._screen.lines, history=10_000, ratio=0.5)
        self._stream = pyte.Stream(self._screen)
        below = "".join(f"\r\n{each}" for each in rows[above + cursor.y + 1:]).rstrip()
        self._stream.feed("".join(f"{each}\r\n" for each in rows[:above + cursor.y]))
        self._stream.feed(f"{row[:at]}\x1b7{row[at:]}{below}\x1b8")
        self._child.setwinsize(self._screen.lines, columns)

    def wait_for(self, what: str | Callable[[], bool], seconds: float = 60) -> None:
        """Read until ``what`` is on the screen or in the scrollback (or is true). Raises AssertionError."""
        seen = what if callable(what) else lambda: what in self.text
        deadline = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < deadline, f"{what!r} did not appear on:\n{self.text}"
            if not self.read(0.05) and not self._child.isalive():
                assert seen(), f"{what!r} did not appear before the end of:\n{self.text}"

    def wait_for_end(self, seconds: float = 60) -> int:
        """Read until the program has ended; return its exit code."""
        deadline = time.monotonic() + seconds
        while self.read(0.05) or self._child.isalive():
            assert time.monotonic() < deadline, f"the program has not ended:\n{self.text}"
        self._modes = self._local_modes()
        self._child.close()
        return self._child.exitstatus if self._child.exitstatus is not None else -(self._child.signalstatus or 0)

    def read(self, seconds: float) -> bool:
        """Read what is there now, waiting a little; tell whether there was anything."""
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            text = self._child.read_nonblocking(100_000, timeout=seconds)
            self.raw += text
            self._stream.feed(text)
            return True
        return False

    def watch(self, seconds: float) -> None:
        """Read for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.read(left)

    @property
    def screen(self) -> list[str]:
        """Return the rows that are visible now, without blanks at their ends."""
        return [row.rstrip() for row in self._screen.display]

    @property
    def rows(self) -> list[str]:
        """Return all rows, those that scrolled away first."""
        top = ["".join(line[x].data for x in range(self._screen.columns)).rstrip() for line in self._screen.history.top]
        return [*top, *self.screen]

    @property
    def text(self) -> str:
        """Return all rows as one text, without the empty ones at the end."""
        return "\n".join(self.rows).rstrip("\n")

    @property
    def cursor_row(self) -> int:
        """Return the place of the cursor's row in ``screen``."""
        row: int = self._screen.cursor.y
        return row

    @property
    def cursor_column(self) -> int:
        """Return the cursor's column, from 0."""
        column: int = self._screen.cursor.x
        return column

    @property
    def is_cooked(self) -> bool:
        """Tell whether the terminal echoes and edits lines itself, as a shell expects to find it."""
        modes = self._modes if self._modes is not None else self._local_modes()
        return bool(modes & termios.ECHO and modes & termios.ICANON)

    def _local_modes(self) -> int:
        modes: int = termios.tcgetattr(self._child.child_fd)[3]
        return modes

    @property
    def cursor_hidden(self) -> bool:
        """Tell whether the cursor is invisible."""
        return self._screen.cursor.hidden


def python(script: str, *arguments: str) -> list[str]:
    """Return the command that runs ``script`` with this interpreter."""
    return [sys.executable, "-c", script, *arguments]
