"""Until when the host waits for the end of a run, whatever its agent says or does not say meanwhile."""

from __future__ import annotations

import time

from sandbox_interpreter.agent.frames import Frame, cost
from sandbox_interpreter.sandbox.inbox import Inbox

LADDER_STEPS = 3
OVERTIME_SECONDS = 5.0
"""Seconds of waiting that an agent may be late with its ladder before the host ends the container itself."""
OVERTIME_BYTES = 128 * 1024 * 1024
"""Bytes that may still come then: what a slow reader had held back, and a display."""


class Deadline:
    """The end of the host's patience: none without a time limit, until the run is told to stop.

    Past it, only the time that the host itself waits counts, not its reader's: the agent could not say the end of a
    run whose output nobody took. A flood or a trickle that has no end does not go on for ever, though.
    """

    def __init__(self, *, timeout: float, grace: float) -> None:
        """Begin now. Both are in seconds: ``timeout`` is the run's limit or 0, ``grace`` a step of the ladder."""
        self._ladder = LADDER_STEPS * grace
        self._due = time.monotonic() + timeout + self._ladder if timeout else None
        self._seconds = OVERTIME_SECONDS
        self._bytes = OVERTIME_BYTES

    def told_to_stop(self) -> None:
        """Expect the end within the ladder's time from now."""
        due = time.monotonic() + self._ladder
        self._due = due if self._due is None else min(self._due, due)

    @property
    def passed(self) -> bool:
        """Tell, when no frame came, whether there is nothing more to wait for."""
        return self._seconds <= 0 or self._bytes <= 0

    def next(self, inbox: Inbox) -> Frame | None:
        """Return the next frame; None if it is time to look at the clock or at the run. Raises ChannelError."""
        began = time.monotonic()
        if self._due is None or began < self._due:
            return inbox.get(None if self._due is None else self._due - began)
        if self._bytes <= 0:
            return None
        frame = inbox.get(max(self._seconds, 0.0))
        self._seconds -= time.monotonic() - began
        self._bytes -= cost(frame.payload) if frame else 0
        return frame
