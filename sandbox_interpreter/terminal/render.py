"""Shows a stream of chunks to a person while passing it on, whatever their screen can do."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.config import Settings
from sandbox_interpreter.messages import Chunk, CodeBlock
from sandbox_interpreter.pictures import Picture, from_base64
from sandbox_interpreter.sandbox.questions import Question
from sandbox_interpreter.terminal import pictures
from sandbox_interpreter.terminal.escape import reveal
from sandbox_interpreter.terminal.live import LiveScreen
from sandbox_interpreter.terminal.plain import PlainScreen
from sandbox_interpreter.terminal.plainness import is_plain

SavePicture = Callable[[bytes, str], Path]
"""Keeps a picture's bytes, given its file suffix, and returns where."""

THINKING = "The model is thinking"
STARTING = "Starting the sandbox"
RUNNING = "Running"
WORKING = "Working"


class Screen(AbstractContextManager["Screen"], Protocol):
    """Where chunks are shown."""

    def add(self, chunk: Chunk) -> None:
        """Show one chunk of prose, code or output."""

    def wait(self, what: str) -> None:
        """Say what is waited for, from now on; "" for nothing."""

    def write(self, text: str) -> None:
        """Write lines that are safe as they are."""

    def ask(self, block: CodeBlock) -> Approval:
        """Ask whether ``block`` may run."""

    def aside(self, talk: Callable[[TextIO], object]) -> None:
        """Leave the screen to a conversation with the person, and take it back."""


class Renderer:
    """Draws what a conversation yields: live on a terminal; as plain text elsewhere, with ``plain``, and for NO_COLOR.

    ``save`` keeps the pictures that code draws; without it they are only shown, where the terminal can.
    """

    def __init__(self, settings: Settings, console: Console | None = None, *, save: SavePicture | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False)
        self._save = save
        self.is_plain = is_plain(settings, is_terminal=self._console.is_terminal)
        self._protocol = None if self.is_plain else pictures.protocol_of(os.environ)
        self._screen: Screen = PlainScreen(self._console.file) if self.is_plain else LiveScreen(self._console)
        self._picture: list[str] | None = None
        self._waiting = THINKING

    def show(self, chunks: Iterator[Chunk], *, waiting: str = THINKING) -> Generator[Chunk, None, None]:
        """Yield every chunk of ``chunks`` once it is on the screen. Closing this closes ``chunks``.

        ``waiting`` says what the time between two blocks is spent on.
        """
        self._waiting = waiting
        with self._screen:
            self._screen.wait(waiting)
            try:
                for chunk in chunks:
                    self._add(chunk)
                    yield chunk
            finally:
                if isinstance(chunks, Generator):
                    chunks.close()

    def wait(self, what: str) -> None:
        """Say what is being waited for, in a few words."""
        self._screen.wait(reveal(what))

    def notify(self, text: str) -> None:
        """Write a notice, for good."""
        shown = "\n".join(reveal(line) for line in text.splitlines())
        self._screen.write(f"{shown}\n" if self.is_plain else f"\x1b[2m{shown}\x1b[0m\n")

    def approve(self, block: CodeBlock) -> Approval:
        """Return what the person says about ``block``, whose code was shown just now."""
        answer = self._screen.ask(block)
        self._screen.wait(STARTING if answer.run else self._waiting)
        return answer

    def allow(self, questions: Sequence[Question]) -> None:
        """Ask the person about hosts that code wants to reach."""
        from sandbox_interpreter.terminal import network_question

        self._screen.aside(lambda screen: network_question.ask(questions, screen, styled=not self.is_plain))
        self._screen.wait(RUNNING)

    def _add(self, chunk: Chunk) -> None:
        if chunk["type"] == "image":
            self._collect(chunk)
            return
        self._screen.add(chunk)
        what = _waited_for_after(chunk)
        if what is not None:
            self._screen.wait(what or self._waiting)

    def _collect(self, chunk: Chunk) -> None:
        if chunk.get("start") or self._picture is None:
            self._picture = []
        self._picture.append(str(chunk.get("content", "")))
        if chunk.get("end"):
            content, self._picture = "".join(self._picture), None
            self._screen.write(self._shown(from_base64(content)))

    def _shown(self, picture: Picture | None) -> str:
        """Return the lines that stand for a picture: itself, where the terminal can show it, and where it was saved."""
        if picture is None:
            return "The code drew something that is no picture, or too large for one.\n"
        drawn = pictures.inline(picture, self._protocol, _space(self._console)) if self._protocol else None
        lines = [drawn] if drawn else []
        if self._save is not None:
            lines.append(f"Picture: {reveal(str(self._save(picture.data, picture.suffix)))}")
        return "".join(f"{line}\n" for line in lines)


def _waited_for_after(chunk: Chunk) -> str | None:
    """Return what is waited for once ``chunk`` is shown: "" for the next block, None if it says nothing about that."""
    match (chunk["type"], "start" in chunk, "end" in chunk):
        case ("message", True, _):
            return "The model is writing"
        case ("code", True, _):
            return "The model is writing code"
        case ("code", _, True):
            return STARTING  # that is over at once unless the sandbox, or its image, is not there yet
        case ("console", True, _):
            return RUNNING
        case ("message" | "console", _, True):
            return ""
        case _:
            return None


def _space(console: Console) -> pictures.Space:
    """Return the room on the terminal. Cells are measured where it tells its size in pixels, else of the usual size."""
    import fcntl
    import termios

    try:
        answer = fcntl.ioctl(console.file.fileno(), termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return pictures.Space(console.width)
    rows, columns, width, height = struct.unpack("HHHH", answer)
    if not (rows and columns and width and height):
        return pictures.Space(console.width)
    return pictures.Space(columns, width // columns or 8, height // rows or 16)
