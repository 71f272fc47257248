"""The keyboard of the terminal on stdin: whether keys are echoed, and what was typed before somebody asked."""

from __future__ import annotations

import os
import select
import sys
import termios
from contextlib import suppress

_LOCAL_FLAGS = 3
"""Place of the local modes in what tcgetattr returns (termios(3))."""
_END_OF_INPUT = "\x04"
_PIECE = 65536

_typed: list[str] = []
"""What was read ahead of whoever asks next. A process has one keyboard."""


class Keyboard:
    """Silences the echo while a program draws: an echoed newline would move what is drawn from its place.

    What is typed meanwhile is kept key by key, Ctrl-D among them, for the next prompt. Without a terminal on stdin,
    nothing is done.
    """

    def __init__(self) -> None:
        self._before: list[int | list[bytes | int]] | None = None

    def mute(self) -> None:
        """Stop the echo. Harmless when repeated."""
        if self._before is None and _is_terminal():
            with suppress(termios.error, OSError):  # a background process may not change it
                attributes = termios.tcgetattr(sys.stdin)
                self._before = [*attributes]
                if attributes[_LOCAL_FLAGS] & termios.ICANON:
                    _read_ahead()
                attributes[_LOCAL_FLAGS] &= ~(termios.ECHO | termios.ICANON)
                termios.tcsetattr(sys.stdin, termios.TCSANOW, attributes)

    def unmute(self) -> None:
        """Echo again, if it was so before."""
        before, self._before = self._before, None
        if before is not None:
            with suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def keep_typed_ahead(text: str) -> None:
    """Keep keys that were read and not used; ``take_typed_ahead`` returns them, the earliest first."""
    if text:
        _typed.append(text)


def take_typed_ahead() -> str:
    """Return the keys that were read before anybody asked. Those that the terminal still holds are not among them."""
    text = "".join(_typed)
    _typed.clear()
    return text


def forget_typed_ahead() -> None:
    """Drop what was typed and not used yet."""
    _typed.clear()
    with suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def _read_ahead() -> None:
    """Keep the whole lines that the terminal holds.

    It tells the end of input from other keys only while it reads by the line: where it stops that, a Ctrl-D which it
    still holds becomes a NUL (n_tty of Linux), and nobody could leave by it.
    """
    while select.select([sys.stdin], [], [], 0)[0]:
        data = os.read(sys.stdin.fileno(), _PIECE)
        keep_typed_ahead(data.decode("utf-8", "surrogateescape") or _END_OF_INPUT)
        if not data:
            return


def _is_terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
