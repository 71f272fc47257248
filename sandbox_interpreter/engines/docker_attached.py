"""What the SDK returns for a hijacked connection, as a socket, what was read of it already, and a way to close it."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from sandbox_interpreter.engines.sockets import OneAtATime

_MOST_EARLY = 256 * 1024


class Attached:
    """A hijacked connection whose ``socket`` does not block. ``early`` is what stands before its first read."""

    def __init__(self, found: Any) -> None:
        self._found = found  # kept: its response owns the connection
        plain = getattr(found, "_sock", found)  # over TLS it is the socket itself
        self.socket: socket.socket | OneAtATime = OneAtATime(plain) if hasattr(plain, "pending") else plain
        self.socket.setblocking(False)
        self.early = self._buffered()

    def _buffered(self) -> bytes:
        """Return what the HTTP reader took in behind the response's header; lost, it would shift every frame."""
        response = getattr(self._found, "_response", None)
        reader = getattr(getattr(getattr(response, "raw", None), "_fp", None), "fp", None)
        try:
            return bytes(reader.read1(_MOST_EARLY) or b"") if reader is not None else b""
        except (OSError, ValueError):
            return b""

    def close(self) -> None:
        """Close it, and the connection under it; harmless when repeated, also by another thread."""
        with contextlib.suppress(OSError):  # the other end was faster
            self.socket.shutdown(socket.SHUT_RDWR)
        response = getattr(self._found, "_response", None)
        if response is not None:
            response.close()
            # The SDK ties the two to each other, and the response to the client's other connections: without this
            # they would stay open until the garbage collector comes.
            with contextlib.suppress(AttributeError):
                del self._found._response
        self._found.close()
        self.socket.close()
