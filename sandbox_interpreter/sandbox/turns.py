"""Who writes next where many want to: whoever carries bulk waits for all the others, however often it comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock with two queues. A plain one is unfair: a thread that lets go and takes it again at once would keep it."""

    def __init__(self) -> None:
        self._writing = threading.Lock()
        self._next = threading.Lock()  # held by the one that waits; bulk needs it too, so it cannot overtake
        self._last = threading.Lock()  # only one carrier of bulk comes as far as the two above

    @contextmanager
    def next(self) -> Iterator[None]:
        """Hold the lock; its turn comes before any bulk that is not being written yet."""
        with self._next:
            self._writing.acquire()
        try:
            yield
        finally:
            self._writing.release()

    @contextmanager
    def last(self) -> Iterator[None]:
        """Hold the lock once nobody else waits for it."""
        with self._last, self.next():
            yield

    def try_now(self) -> bool:
        """Take the lock if that needs no waiting, and tell whether it was taken; ``leave`` gives it back."""
        return self._writing.acquire(blocking=False)

    def leave(self) -> None:
        """Give back what ``try_now`` took."""
        self._writing.release()
