"""The question before code runs: yes, no, or edit. Where nobody can answer, the answer is no."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TextIO

from rich.cells import cell_len

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.messages import CodeBlock
from sandbox_interpreter.terminal.editor import edit
from sandbox_interpreter.terminal.escape import STYLE, reveal
from sandbox_interpreter.terminal.keyboard import forget_typed_ahead

_QUESTION = "Run this code? (y/n/e) "
_STYLED_QUESTION = "\x1b[1mRun this code?\x1b[0m (y/n/e) "
_HELP = "y runs it, n does not, e opens it in your editor first.\n"
_OFFER = "Scan this code first? (y/n) "
_WARNING = "\x1b[33m{}\x1b[0m"


@dataclass(frozen=True)
class Answer:
    """What was answered, and on how many rows of the screen that took place."""

    approval: Approval
    rows: int = 0


def ask(block: CodeBlock) -> Approval:
    """Return what the person at the terminal says about ``block``, which is on the screen already.

    No, end of input, Ctrl-C, and no terminal to ask at all mean: not run.
    """
    return question(block).approval


def question(block: CodeBlock, *, styled: bool = False) -> Answer:
    """Return the same as ``ask``, with the place on the screen that the question took."""
    screen = person_terminal()
    if screen is None:
        return Answer(Approval(run=False))
    if screen is not sys.stdout:  # then the code went elsewhere, and nobody can judge what they have not seen
        screen.write(f"{reveal(block.code)}\n")
    forget_typed_ahead()  # what was typed before the question was there is no answer to it
    try:
        rows = _scan(block, screen, styled=styled)
        answer = _answer(block, screen, _STYLED_QUESTION if styled else _QUESTION)
        return Answer(answer.approval, rows + answer.rows)
    except (EOFError, KeyboardInterrupt):
        screen.write("\n")
        return Answer(Approval(run=False))


def person_terminal() -> TextIO | None:
    """Return the stream that a person sees who can also type; None if there is nobody."""
    if not _is_terminal(sys.stdin):
        return None
    return next((stream for stream in (sys.stdout, sys.stderr) if _is_terminal(stream)), None)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _answer(block: CodeBlock, screen: TextIO, prompt: str) -> Answer:
    rows = 0
    while True:
        reply = _read(prompt, screen)
        rows += _rows_of(prompt + reply, screen)
        match reply.strip().lower():
            case "y" | "yes":
                return Answer(Approval(run=True), rows)
            case "n" | "no":
                return Answer(Approval(run=False), rows)
            case "e" | "edit":
                code = edit(block, screen)
                if code is not None:
                    return Answer(Approval(run=True, code=code))
                rows += _UNKNOWN
            case _:
                screen.write(_HELP)
                rows += _rows_of(_HELP, screen)


def _scan(block: CodeBlock, screen: TextIO, *, styled: bool) -> int:
    """Show what was found in ``block``, after offering to look where that is open; return the rows that it took."""
    scan, rows = block.scan, 0
    if block.scanner:
        wanted, rows = _offered(screen)
        scan = block.scanner() if wanted else None
    if scan is None:
        return rows
    for line in scan.lines():
        shown = reveal(line)
        screen.write(f"{_WARNING.format(shown)}\n" if styled and not scan.clean else f"{shown}\n")
        rows += _rows_of(shown, screen)
    return rows


def _offered(screen: TextIO) -> tuple[bool, int]:
    """Return whether a scan is wanted, and the rows that the question took."""
    rows = 0
    while True:
        reply = _read(_OFFER, screen)
        rows += _rows_of(_OFFER + reply, screen)
        if (word := reply.strip().lower()) in ("y", "yes", "n", "no"):
            return word.startswith("y"), rows


_UNKNOWN = 10_000
"""More rows than any screen has: an editor was on it."""


def _read(prompt: str, screen: TextIO) -> str:
    screen.write(prompt)
    screen.flush()
    reply = sys.stdin.readline()
    if not reply:
        raise EOFError
    return reply.rstrip("\n")


def _rows_of(text: str, screen: TextIO) -> int:
    width = os.get_terminal_size(screen.fileno()).columns or 80
    return max(1, -(-cell_len(STYLE.sub("", text.rstrip("\n"))) // width))
