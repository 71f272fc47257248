"""What became of each connection that the code of a session asked for, as events in the session's log."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.gate import Decision

MOST_EVENTS = 10_000
"""Of one sandbox. Code that does nothing but ask would fill the disk otherwise; that there was more is said once."""


class Notes(Protocol):
    """Where events are written: a session's journal, or a task's log."""

    def note(self, event: str, **facts: Any) -> object:
        """Write one event."""


class EgressLog:
    """Writes one event for each decision. Thread-safe."""

    def __init__(self, journal: Notes) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._count = 0

    def __call__(self, decision: Decision) -> None:
        """Write down a decision."""
        with self._lock:
            self._count += 1
            count = self._count
        if count <= MOST_EVENTS:
            told = {name: value for name, value in asdict(decision).items() if value != ""}
            self._journal.note("egress", **told)
        elif count == MOST_EVENTS + 1:
            self._journal.note("egress", error=f"more than {MOST_EVENTS} connections; the others are not recorded")
