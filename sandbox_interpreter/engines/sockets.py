"""Sockets that never block their reader, and their writer only for a bounded time."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Protocol

from sandbox_interpreter.errors import ChannelError

READ_SIZE = 64 * 1024
SEND_SECONDS = 10.0


class HungUp(ChannelError):
    """The other end is gone; what it said before that may still be there to read."""


class HasDescriptor(Protocol):
    """What can be waited for."""

    def fileno(self) -> int:
        """Return its descriptor; -1 once it is closed."""


class OneAtATime:
    """A TLS socket on which reading and writing never overlap: its library allows one thread at a time.

    Where it would have to wait, it says so as every other socket does.
    """

    def __init__(self, inner: socket.socket) -> None:
        import ssl  # whoever has a TLS socket has loaded it; a local engine needs none

        self._not_now = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
        self._inner = inner
        self._lock = threading.Lock()
        self.setblocking, self.fileno, self.close = inner.setblocking, inner.fileno, inner.close

    def shutdown(self, how: int) -> None:
        """Let the other side see an end, as of a plain socket: one of TLS would not decrypt what comes after it."""
        socket.socket.shutdown(self._inner, how)

    def recv_into(self, view: memoryview) -> int:
        """Return how many bytes were read. Raises OSError; BlockingIOError where it would have to wait."""
        return self._alone(lambda: self._inner.recv_into(view))

    def send(self, data: memoryview) -> int:
        """Return how many bytes were written. Raises as ``recv_into``."""
        return self._alone(lambda: self._inner.send(data))

    def _alone(self, call: Callable[[], int]) -> int:
        with self._lock:
            try:
                return call()
            except self._not_now as error:
                raise BlockingIOError from error


def send_all(connection: socket.socket | OneAtATime, data: bytes) -> None:
    """Write all of ``data``. Raises HungUp when the other end is gone, ChannelError when it does not read."""
    view = memoryview(data)
    deadline = time.monotonic() + SEND_SECONDS
    while view:
        try:
            view = view[connection.send(view) :]
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ChannelError(f"The sandbox has not read its input for {SEND_SECONDS:.0f} s.",
                                   next_step="It is ended; run again for a new one.") from None
            writable(connection, 1.0)
        except OSError as error:
            raise HungUp(f"The connection to the sandbox broke: {error}.",
                         next_step="Run again for a new sandbox.") from None


def writable(connection: HasDescriptor, seconds: float) -> bool:
    """Tell whether ``connection`` takes bytes within ``seconds``; one that was closed does not."""
    poll = select.poll()  # select() fails from descriptor 1024 on
    try:
        poll.register(connection, select.POLLOUT)
    except ValueError:
        return False
    return bool(poll.poll(seconds * 1000))


class SocketWire:
    """A wire that is a plain socket, with nothing else on it than what the container says."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection

    def fileno(self) -> int:
        """Return the descriptor that a selector can wait on."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """Return what has arrived; b"" for nothing yet; None once the container has ended."""
        try:
            return self._socket.recv(READ_SIZE) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def send(self, data: bytes) -> None:
        """Write all of ``data``. Raises ChannelError when the container is gone or does not read."""
        send_all(self._socket, data)

    def diagnostics(self) -> str:
        """Return nothing: there is no stderr on it."""
        return ""

    def close(self) -> None:
        """Let go of the stream; the container lives on."""
        self._socket.close()
