"""A pool: sandboxes of one kind that are started before anybody asks for them, for servers and for many small jobs."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Self

from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.errors import SandboxClosed, SandboxInterpreterError, UsageError
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox

MOST = 256
_BREATH = 0.1
"""Seconds before another is made ready: whoever has just taken one goes first, and most want the processors at once."""


class Pool:
    """Keeps ``size`` sandboxes ready, each fresh, with a private workspace; a context manager. Thread-safe.

    The other arguments are those of ``Sandbox``. What ``take`` gives is the caller's alone, and ends when they close
    it: nobody gets a sandbox in which code has run. Raises UsageError for a size that cannot be.
    """

    def __init__(self, size: int = 2, image: str = "python", *, policy: Policy | None = None,
                 env: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None,
                 engine: ContainerEngine | str | None = None, notify: Callable[[str], None] | None = None,
                 provide: Callable[[str, ImageStore], object] | None = None) -> None:
        if not 1 <= size <= MOST:
            raise UsageError(f"A pool cannot have the size {size}.", next_step=f"It is between 1 and {MOST}.")
        told = {} if notify is None else {"notify": notify}
        self._arguments: dict[str, Any] = {"policy": policy, "env": env, "secrets": secrets, "engine": engine,
                                           "provide": provide, **told}
        self._image = image
        self._size = size
        self._changed = threading.Condition()
        self._ready: deque[Sandbox] = deque()
        self._closed = False
        self._taken = self._failed = False
        self._filler: threading.Thread | None = None
        # For when nobody calls close: it is done when this object or the process ends.
        self._finalizer = weakref.finalize(self, _close_all, self._ready)
        self._fill()

    def take(self) -> Sandbox:
        """Return a sandbox that has run nothing, and runs; where none is ready, a new one, which its first run starts.

        Another is made ready in the background. Raises SandboxClosed once the pool is closed.
        """
        with self._changed:
            if self._closed:
                raise SandboxClosed("This pool was closed.", next_step="Make a new one.")
            box = self._popped()
            self._taken, self._failed = True, False
        self._fill()
        return box or self._new()

    def wait(self, seconds: float = 60.0) -> bool:
        """Wait until all sandboxes are ready, or ``seconds`` have passed; tell whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._ready) >= self._size or self._closed, seconds) and \
                not self._closed

    def close(self) -> None:
        """End the sandboxes that nobody took; harmless when repeated."""
        with self._changed:
            self._closed = True
            filler = self._filler
            self._changed.notify_all()
        if filler:
            filler.join()
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _new(self) -> Sandbox:
        return Sandbox(self._image, **self._arguments)

    def _popped(self) -> Sandbox | None:
        """Return one that is ready; what has ended meanwhile, with its engine, say, is dropped."""
        while self._ready:
            box = self._ready.popleft()
            if box.is_running:
                return box
            _close(box)
        return None

    def _fill(self) -> None:
        """Let the filler work, if something is missing and it does not yet."""
        with self._changed:
            if self._filler is None and not self._closed and len(self._ready) < self._size:
                self._filler = threading.Thread(target=self._make, name="sbi-pool", daemon=True)
                self._filler.start()

    def _make(self) -> None:
        """Start sandboxes until there are enough; an engine that fails is met again by whoever takes one."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, _BREATH if self._taken else 0)
        try:
            while self._is_short():
                self._add()
        finally:
            with self._changed:
                self._filler = None
                self._changed.notify_all()

    def _is_short(self) -> bool:
        with self._changed:
            return not self._closed and not self._failed and len(self._ready) < self._size

    def _add(self) -> None:
        box = self._new()
        try:
            box.start()
        except SandboxInterpreterError:
            self._failed = True
            _close(box)
            return
        with self._changed:
            self._ready.append(box)
            self._changed.notify_all()


def _close(box: Sandbox) -> None:
    with suppress(SandboxInterpreterError):  # its engine is gone; then so is it, or it ends itself
        box.close()


def _close_all(boxes: deque[Sandbox]) -> None:
    while boxes:
        _close(boxes.popleft())
