"""One poll over every descriptor, and writes that never block."""

from __future__ import annotations

import fcntl
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PIPE_SIZE = 256 * 1024
F_SETPIPE_SZ = 1031  # fcntl names it from Python 3.10 on
READ, WRITE, NOTHING = select.EPOLLIN, select.EPOLLOUT, 0


class Poller:
    """Calls a descriptor's handler whenever it is ready."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], object]] = {}

    def listen(self, descriptor: int, handler: Callable[[], object], events: int = READ) -> None:
        """Call ``handler`` whenever ``descriptor`` is ready for ``events``."""
        if descriptor in self._handlers:
            self._poll.modify(descriptor, events)
        else:
            self._poll.register(descriptor, events)
        self._handlers[descriptor] = handler

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events, if the descriptor is listened to at all."""
        if descriptor in self._handlers:
            self._poll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop listening; the descriptor stays open."""
        if self._handlers.pop(descriptor, None):
            self._poll.unregister(descriptor)

    def wait(self, seconds: float) -> None:
        """Run the handlers of what is ready, waiting at most ``seconds`` for the first."""
        for descriptor, _ in self._poll.poll(seconds):
            if handler := self._handlers.get(descriptor):
                handler()


class Outbox:
    """Bytes on their way to a non-blocking descriptor; what does not fit waits, and nobody waits for it."""

    def __init__(self, poller: Poller, descriptor: int, written: Callable[[int], object] | None = None) -> None:
        self._poller = poller
        self._descriptor = descriptor
        self._written = written
        self._waiting: list[bytes | memoryview] = []
        self._closing = False

    @property
    def waiting(self) -> bool:
        """Tell whether bytes wait for room."""
        return bool(self._waiting)

    def push(self, data: bytes) -> None:
        """Write ``data`` now, or as soon as there is room."""
        if self._descriptor < 0 or not data:
            return
        self._waiting.append(data)
        if len(self._waiting) == 1:
            self._flush()

    def close(self, *, drop: bool = False) -> None:
        """Close the descriptor once everything is written, or at once with ``drop``."""
        self._closing = True
        if drop or not self._waiting:
            self._end()

    def _flush(self) -> None:
        try:
            while self._waiting:
                data = self._waiting[0]
                count = os.write(self._descriptor, data)
                if self._written:
                    self._written(count)
                if count == len(data):
                    del self._waiting[0]
                else:
                    self._waiting[0] = memoryview(data)[count:]
        except BlockingIOError:
            self._poller.listen(self._descriptor, self._flush, WRITE)
            return
        except (BrokenPipeError, ConnectionResetError):
            self._end()  # the reader is gone; its exit is noticed elsewhere
            return
        self._poller.forget(self._descriptor)
        if self._closing:
            self._end()

    def _end(self) -> None:
        if self._descriptor >= 0:
            self._poller.forget(self._descriptor)
            os.close(self._descriptor)
        self._descriptor = -1
        self._waiting.clear()


def widen(pipe: int) -> None:
    """Let a pipe hold more, so that a flood costs fewer wake-ups."""
    try:
        fcntl.fcntl(pipe, F_SETPIPE_SZ, PIPE_SIZE)
    except OSError:
        pass  # the user's share of pipe memory is used up, or the runtime has fixed pipes; 64 KiB will do
