"""One selector thread per process that reads every channel, so a sandbox costs no thread of its own."""

from __future__ import annotations

import contextlib
import functools
import selectors
import threading
import time
from collections.abc import Callable
from typing import Protocol

from sandbox_interpreter.errors import ChannelError

TICK = 1.0  # seconds between looks at who is due a heartbeat


class Readable(Protocol):
    """What the reactor serves."""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""

    def readable(self) -> None:
        """Take what has arrived; must not block, must not raise."""

    def tick(self, now: float) -> None:
        """Look at the clock (monotonic seconds); must not block, must not raise."""

    def fail(self, error: ChannelError) -> None:
        """Be told that one of the above did raise, and that it is served no more."""


class Reactor:
    """A daemon thread over one selector.

    epoll and kqueue allow changes from other threads during a wait, so adding and removing need no wake-up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._served: set[Readable] = set()
        self._thread: threading.Thread | None = None

    def add(self, channel: Readable) -> None:
        """Serve a channel from now on."""
        with self._lock:
            self._served.add(channel)
            self._selector.register(channel.fileno(), selectors.EVENT_READ, channel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sbi-reactor", daemon=True)
                self._thread.start()

    def remove(self, channel: Readable) -> None:
        """Serve it no more; its descriptor may be closed afterwards."""
        with self._lock, contextlib.suppress(KeyError, ValueError):
            self._served.discard(channel)
            self._selector.unregister(channel.fileno())

    def _run(self) -> None:
        next_tick = time.monotonic() + TICK
        while True:
            for key, _ in self._selector.select(max(next_tick - time.monotonic(), 0)):
                _guarded(key.data, key.data.readable)
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + TICK
                with self._lock:
                    served = list(self._served)
                for channel in served:
                    _guarded(channel, functools.partial(channel.tick, now))


def _guarded(channel: Readable, call: Callable[[], None]) -> None:
    try:
        call()
    except Exception as error:  # a fault of ours in one channel must not stop the thread that serves all of them
        channel.fail(ChannelError(f"The connection to the sandbox failed: {type(error).__name__}: {error}.",
                                  next_step="This is a fault of sbi; please report it. Run again for a new sandbox."))


_reactor = Reactor()


def shared() -> Reactor:
    """Return this process's reactor."""
    return _reactor
