"""The screen that is none: a pipe, a file, a dumb terminal. Plain text without escapes, which reads as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import IO, Self, TextIO

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.messages import Chunk, CodeBlock
from sandbox_interpreter.terminal import approve
from sandbox_interpreter.terminal.escape import Filter, reveal
from sandbox_interpreter.terminal.lines import Lines


class PlainScreen:
    """Writes chunks as text, in a context: prose as it is, code between fences, output as whole lines."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._filter = Filter(colour=False)
        self._lines = Lines()
        self._at_margin = True
        self._written = False

    def __enter__(self) -> Self:
        self._written = False
        return self

    def __exit__(self, *_: object) -> None:
        self._write(self._lines.feed(self._filter.close()) + self._lines.close())
        self._end_line()

    def add(self, chunk: Chunk) -> None:
        """Write one chunk of prose, code or output."""
        if chunk["type"] == "confirmation" or chunk.get("format") == "active_line":
            return
        if chunk.get("start"):
            self._begin(chunk)
        if content := chunk.get("content"):
            self._write(self._shown(chunk, str(content)))
        if chunk.get("end"):
            self._end(chunk)

    def wait(self, what: str) -> None:
        """Say nothing: who reads a log wants to know what happened, not what may."""

    def write(self, text: str) -> None:
        """Write lines."""
        self._end_line()
        self._write(text)

    def ask(self, block: CodeBlock) -> Approval:
        """Ask whether ``block`` may run."""
        return approve.ask(block)

    def aside(self, talk: Callable[[TextIO], object]) -> None:
        """Leave the screen to a conversation with the person: the terminal, wherever the text goes."""
        self._end_line()
        talk(approve.person_terminal() or sys.stderr)

    def _begin(self, chunk: Chunk) -> None:
        self._end_line()
        if chunk["type"] != "console" and self._written:
            self._write("\n")
        if chunk["type"] == "code":
            self._write(f"```{reveal(' '.join(chunk.get('format', '').split()))}\n")

    def _shown(self, chunk: Chunk, content: str) -> str:
        return self._lines.feed(self._filter.feed(content)) if chunk["type"] == "console" else reveal(content)

    def _end(self, chunk: Chunk) -> None:
        if chunk["type"] == "console":
            self._write(self._lines.feed(self._filter.close()) + self._lines.close())
        self._end_line()
        if chunk["type"] == "code":
            self._write("```\n")

    def _end_line(self) -> None:
        if not self._at_margin:
            self._write("\n")

    def _write(self, text: str) -> None:
        if text:
            self._file.write(text)
            self._file.flush()
            self._at_margin = text.endswith("\n")
            self._written = True
