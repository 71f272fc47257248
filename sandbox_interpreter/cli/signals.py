"""What Ctrl-C, SIGTERM and SIGHUP do to a run."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType
from typing import Any, Self

from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.terminal.rouse import rouse

TWICE = 1.0
"""Seconds within which a second Ctrl-C ends the run, and not only the code's patience."""


class Stops:
    """A context in which signals stop a run in good order.

    Ctrl-C interrupts the program that runs; a second one within ``TWICE`` seconds, or one while nothing runs, raises
    KeyboardInterrupt here. SIGTERM and SIGHUP raise SystemExit with 128 + signal. What the caller had ignored (under
    nohup, in the background) stays ignored. Use it on the main thread only.
    """

    def __init__(self) -> None:
        self._execution: Execution | None = None
        self._pressed_at = -TWICE
        # A handler runs in the midst of anything, even of a send that holds a lock; SimpleQueue.put is made for that.
        self._wishes: SimpleQueue[bool | None] = SimpleQueue()
        self._before: dict[int, Any] = {}
        self._protecting = False
        self._pending: BaseException | None = None

    def __enter__(self) -> Self:
        for number, handler in ((signal.SIGINT, self._interrupt), (signal.SIGTERM, self._end),
                                (signal.SIGHUP, self._end)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, handler)
        # Reading a terminal from its background would stop this process; now the read fails instead.
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
        return self

    def __exit__(self, *_: object) -> None:
        self._wishes.put(None)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def watch(self, execution: Execution) -> None:
        """Direct Ctrl-C to ``execution`` from now on."""
        self._execution = execution
        threading.Thread(target=self._fulfil, args=(execution,), name="sbi-interrupts", daemon=True).start()

    @contextmanager
    def protected(self) -> Iterator[None]:
        """Put off what one signal raises to the end of this context: a container half created would be left behind.

        A second signal raises at once, and so does any after ``unprotect``.
        """
        self._protecting = True
        try:
            yield
        finally:
            self._protecting = False
        if self._pending is not None:
            raise self._pending

    def unprotect(self) -> None:
        """Let signals raise at once again: what goes on takes long and may be cut short."""
        self._protecting = False

    def hold(self) -> None:
        """Ignore all of them from now on: the sandbox is being removed, and that must not stop half-way."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _fulfil(self, execution: Execution) -> None:
        while (hard := self._wishes.get()) is not None:
            execution.interrupt(hard=hard)
            rouse()

    def _interrupt(self, _: int, __: FrameType | None) -> None:
        now = time.monotonic()
        again, self._pressed_at = now - self._pressed_at < TWICE, now
        if again or self._execution is None:
            self._raise(KeyboardInterrupt())
        else:
            self._wishes.put(False)

    def _end(self, number: int, _: FrameType | None) -> None:
        self._raise(SystemExit(128 + number))

    def _raise(self, error: BaseException) -> None:
        self._wishes.put(True)
        if not self._protecting or self._pending is not None:
            raise error
        self._pending = error
