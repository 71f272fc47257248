"""Choosing an earlier conversation: a numbered list, and a number typed behind it or piped in."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.sessions.session import Session
from sandbox_interpreter.terminal.sessions import table

_MOST = 30
"""Conversations that are listed; the others are found with ``sbi sessions list``."""


def pick(sessions: Sequence[Session]) -> Session | None:
    """Return the one that was chosen of ``sessions``, the newest first; None if that is none.

    Without a terminal the number is the first line on stdin, and what follows it stays there. Raises UsageError for
    what is no number of the list.
    """
    if not sessions:
        _print("There are no conversations yet.")
        return None
    listed = sessions[:_MOST]
    _print(table(listed))
    if len(sessions) > len(listed):
        _print(f"… and {len(sessions) - len(listed)} more: sbi sessions list, sbi sessions resume NAME")
    return _typed(listed) if sys.stdin.isatty() else _piped(listed)


def _print(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _typed(sessions: Sequence[Session]) -> Session | None:
    while True:
        try:
            text = input(f"Which one? (1-{len(sessions)}, Enter for the newest, Ctrl-D for none) ").strip()
        except (EOFError, KeyboardInterrupt):
            _print()
            return None
        if chosen := _numbered(sessions, text or "1"):
            return chosen


def _piped(sessions: Sequence[Session]) -> Session | None:
    # Bytes, since the text layer would read on and keep what belongs to the prompt.
    line = sys.stdin.buffer.readline().decode("utf-8", "replace").strip()
    if not line:
        return None
    chosen = _numbered(sessions, line)
    if chosen is None:
        raise UsageError(f"{line[:40]!r} is no number of the list.", next_step=f"Give one from 1 to {len(sessions)}.")
    return chosen


def _numbered(sessions: Sequence[Session], text: str) -> Session | None:
    return sessions[int(text) - 1] if text.isdecimal() and 0 < int(text) <= len(sessions) else None
