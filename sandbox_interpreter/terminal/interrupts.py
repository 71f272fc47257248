"""Ctrl-C during a turn: first it interrupts the code that runs, then it stops the turn. The session survives both."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from types import FrameType
from typing import Any, Self

from sandbox_interpreter.terminal.rouse import rouse

TWICE = 1.0
"""Seconds within which a second Ctrl-C stops the turn."""

_AGAIN = 0.05
"""Seconds after which the main thread is sent a signal that it may have missed."""


class Interrupts:
    """A context, for the main thread, in which Ctrl-C is passed on to ``interrupt``.

    ``interrupt`` asks the code that runs to stop and tells whether there is any. Where there is none, and for a second
    Ctrl-C within a second, KeyboardInterrupt is raised in the main thread.
    """

    def __init__(self, interrupt: Callable[[], bool]) -> None:
        self._interrupt = interrupt
        self._pressed_at = -TWICE
        # A handler runs in the midst of anything, even where a lock is held that an interrupt needs, so another
        # thread does the work. SimpleQueue.put is made to be called from handlers.
        self._presses: SimpleQueue[bool] = SimpleQueue()
        self._unheard = False  # a press that stops the turn has not reached the main thread yet
        self._over = False
        self._before: Any = None
        self._thread = threading.Thread(target=self._pass_on, name="sbi-interrupts", daemon=True)

    def __enter__(self) -> Self:
        # No other thread gets signals, or may say what happens to them.
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            self._thread.start()
            self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        if self._before is not None:
            self._presses.put(False)
            self._thread.join()  # so that none of its signals comes when the turn is over
            signal.signal(signal.SIGINT, self._before)

    def _press(self, _: int, __: FrameType | None) -> None:
        now = time.monotonic()
        again, self._pressed_at = now - self._pressed_at < TWICE, now
        if self._over:
            return
        if again or self._unheard:
            self._unheard = False
            rouse()  # who draws is waited for
            raise KeyboardInterrupt
        self._presses.put(True)

    def _pass_on(self) -> None:
        main = threading.main_thread().ident
        while self._presses.get() and main is not None:
            self._unheard = not self._interrupt()
            # A signal wakes a call that waits, but not one that is just about to: so again, until it was noticed.
            while self._unheard and not self._over:
                signal.pthread_kill(main, signal.SIGINT)
                time.sleep(_AGAIN)
            rouse()
