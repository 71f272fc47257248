"""The screen of a terminal: blocks as they grow in a live region, and under them what is being waited for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Self, TextIO

from rich.console import Console

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.messages import Chunk, CodeBlock
from sandbox_interpreter.terminal import approve
from sandbox_interpreter.terminal.keyboard import Keyboard
from sandbox_interpreter.terminal.output import Output
from sandbox_interpreter.terminal.panel import Panel
from sandbox_interpreter.terminal.prose import Prose
from sandbox_interpreter.terminal.region import Region
from sandbox_interpreter.terminal.status import Status
from sandbox_interpreter.terminal.suspension import Suspension

_FRAME = 0.04
"""Least seconds between two drawings: 25 a second look fluent."""
_SHARE = 8
"""A drawing may take one part in so many of the time: what is expensive to draw is drawn less often."""
_TICK = 0.08
"""Seconds between two looks at what has changed; a turn of the spinner takes ten."""
_LEAST_OUTPUT = 4
"""Rows that output must have left before the code stays live above it."""


class LiveScreen:
    """Draws chunks in place, in a context. Safe to use from several threads; one of its own turns the spinner."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._region = Region(console)
        self._lock = threading.RLock()
        self._status = Status(console)
        self._keyboard = Keyboard()
        self._suspension = Suspension(self._leave, self._come_back)
        self._panel: Panel | None = None  # live code
        self._text: Prose | Output | None = None
        self._above = ""  # final, not written yet
        self._behind = ""  # to be written once the block that grows is whole
        self._growing = False
        self._written = False  # something stands above, from which the next block keeps a distance
        self._released = False
        self._due = False
        self._next = 0.0
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._keyboard.mute()
        self._stop.clear()
        self._written = False
        self._ticker = threading.Thread(target=self._tick, name="sbi-screen", daemon=True)
        self._ticker.start()
        self._suspension.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._suspension.__exit__()
        self._stop.set()
        if self._ticker:
            self._ticker.join()
        try:
            with self._lock:
                self._regain()
                self._growing = False
                self._status.wait("")
                self._finish()
                self._flush()
                self._draw()
        finally:
            self._keyboard.unmute()

    def add(self, chunk: Chunk) -> None:
        """Show one chunk of prose, code or output."""
        with self._lock:
            self._regain()
            if chunk["type"] == "confirmation":
                self._release()
            elif chunk.get("format") == "active_line":
                self._mark(chunk.get("content"))
            else:
                self._add_text(chunk)

    def wait(self, what: str) -> None:
        """Say what is waited for, from now on; "" for nothing."""
        with self._lock:
            self._status.wait(what)
            self._due = True

    def write(self, text: str) -> None:
        """Write lines that are safe as they are, for good; while a block grows or a question is open, behind it."""
        with self._lock:
            self._behind += text
            if not self._growing and not self._released:
                self._flush()
                self._draw()

    def ask(self, block: CodeBlock) -> Approval:
        """Ask whether ``block`` may run. Code that runs as it is stays live; the question on it disappears."""
        with self._lock:
            self._release()
        answer = approve.question(block, styled=True)
        with self._lock:
            self._regain(answer.rows if answer.approval.run and answer.approval.code is None else None)
            self._flush()
        return answer.approval

    def aside(self, talk: Callable[[TextIO], object]) -> None:
        """Leave the screen to a conversation with the person; what was on it is final, and output goes on below."""
        with self._lock:
            goes_on = isinstance(self._text, Output)
            self._finish()
            self._release()
        talk(approve.person_terminal() or sys.stderr)
        with self._lock:
            self._regain()
            self._text = Output(self._console) if goes_on else None
            self._flush()

    # --- blocks ---

    def _add_text(self, chunk: Chunk) -> None:
        if chunk.get("start"):
            self._open(self._block_of(chunk))
            self._growing = True
        if content := chunk.get("content"):
            self._feed(str(content))
        if chunk.get("end"):
            self._growing = False
            self._status.settle()
            if chunk["type"] != "code":
                self._finish()
            self._flush()
            self._draw_soon()

    def _block_of(self, chunk: Chunk) -> Panel | Prose | Output:
        if chunk["type"] == "code":
            language = chunk.get("format", "")
            return Panel(self._console, language, title=f"{language}, edited" if chunk["role"] == "user" else language)
        if chunk["type"] == "console":
            return Output(self._console, hold=self._panel is not None)
        return Prose(self._console)

    def _open(self, block: Panel | Prose | Output) -> None:
        if isinstance(block, Output):
            self._text = block
            return
        self._finish()
        self._above += "\n" if self._written else ""
        self._written = True
        self._status.grow()
        if isinstance(block, Panel):
            self._panel = block
            self._status.code(block)
        else:
            self._text = block

    def _feed(self, text: str) -> None:
        if (block := self._text or self._panel) is not None:
            block.feed(text)
            self._status.touch()
            self._draw_soon()

    def _mark(self, line: int | None) -> None:
        if self._panel:
            self._panel.mark(line)
        self._status.mark(line)
        self._draw_soon()

    def _finish(self) -> None:
        """Make every block final."""
        self._above += self._close_panel()
        if self._text:
            self._above += self._text.close(self._console.width)
            self._text = None

    def _flush(self) -> None:
        if self._behind:
            self._finish()
            self._above += self._behind
            self._behind, self._written = "", True

    def _close_panel(self) -> str:
        panel, self._panel = self._panel, None
        return panel.close(self._console.width) if panel else ""

    # --- drawing ---

    def _tick(self) -> None:
        while not self._stop.wait(_TICK):
            with self._lock:
                if not self._released and (self._due or self._status.moves()):
                    self._draw()

    def _draw_soon(self) -> None:
        self._due = True
        if time.monotonic() >= self._next and not self._released:
            self._draw()

    def _draw(self) -> None:
        began = time.monotonic()
        width = self._console.width
        status = self._status.rows(width, code_is_live=self._panel is not None)
        room = max(1, self._region.height - len(status))
        rows = self._draw_panel(width, room)
        rows += self._draw_text(width, room, rows)
        above, self._above = self._above, ""
        self._region.update(rows + status, above)
        self._due = False
        now = time.monotonic()
        self._next = now + max(_FRAME, _SHARE * (now - began))

    def _draw_panel(self, width: int, room: int) -> list[str]:
        if self._panel is None:
            return []
        drawn = self._panel.draw(width, room)
        self._above += drawn.above
        return drawn.rows

    def _draw_text(self, width: int, room: int, panel_rows: list[str]) -> list[str]:
        """Return the rows of prose or output. Code makes way, and becomes final, when they need its place."""
        if self._text is None:
            return []
        if self._panel and room - len(panel_rows) < _LEAST_OUTPUT:
            self._above += self._close_panel()
            panel_rows.clear()
        drawn = self._text.draw(width, max(1, room - len(panel_rows)))
        if drawn.above and self._panel:
            self._above += self._close_panel()
            panel_rows.clear()
        self._above += drawn.above
        return drawn.rows

    # --- the shell's turn ---

    def _leave(self) -> None:
        """Take what is live off the screen, and hold everything up until ``_come_back``, in the same thread."""
        self._lock.acquire()
        if not self._released:
            self._region.update([])
            self._keyboard.unmute()

    def _come_back(self) -> None:
        if not self._released:
            self._keyboard.mute()
            self._draw()
        self._lock.release()

    # --- the person's turn ---

    def _release(self) -> None:
        if not self._released:
            self._status.wait("")
            self._draw()
            self._region.release()
            self._released = True
            self._keyboard.unmute()

    def _regain(self, below: int | None = None) -> None:
        """Take the screen back; unless ``below`` tells where the cursor went, what is on it becomes final."""
        if not self._released:
            return
        self._released = False
        self._keyboard.mute()
        if below is None or not self._region.take_back(below):
            self._region.forget()
            self._panel = None
