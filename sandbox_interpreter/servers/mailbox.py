"""Carries what threads produce to the one task that sends it on."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress

ROOM = 1024 * 1024
"""Bytes that may wait for a slow reader before the writer has to."""


class ReaderLeft(Exception):
    """Nobody takes what is being produced; it may stop."""


class Mailbox:
    """Bytes on their way from threads (``put``, ``note``) to one task of an event loop (``take``).

    Either side may ``finish`` it; from then on, ``put`` raises ReaderLeft.
    """

    def __init__(self) -> None:
        """Make one for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._changed = threading.Condition()
        self._letters: deque[bytes] = deque()
        self._size = 0
        self._over = False

    def put(self, letter: bytes) -> None:
        """Add bytes; waits while there is no room. Raises ReaderLeft."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._size < ROOM)
            if self._over:
                raise ReaderLeft
            self._add(letter)

    def note(self, letter: bytes) -> None:
        """Add a few bytes without waiting for room; they are dropped once it is over."""
        with self._changed:
            if not self._over:
                self._add(letter)

    def _add(self, letter: bytes) -> None:
        self._letters.append(letter)
        self._size += len(letter)
        self._ring()

    def finish(self, *, drop: bool = False) -> None:
        """Take nothing any more; what is there is still read, unless ``drop``."""
        with self._changed:
            self._over = True
            if drop:
                self._letters.clear()
            self._changed.notify_all()
        self._ring()

    def _ring(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: the server has ended without waiting for this thread
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def take(self, patience: float) -> bytes | None:
        """Return all bytes that are there; b"" if none came within ``patience`` seconds; None once it is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._arrived.wait()
        with self._changed:
            if not self._over:  # else the next call must not wait
                self._arrived.clear()
            letters, self._letters, self._size = self._letters, deque(), 0
            self._changed.notify_all()
            return b"".join(letters) if letters or not self._over else None
