"""A container's attached stdin and stdout over the engine's hijacked HTTP connection.

The engine multiplexes stdout and stderr: 8 bytes (stream, three zeros, length), then that many bytes. Reads do not
line up with those, so what is left over is carried to the next read.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from sandbox_interpreter.engines.sockets import OneAtATime, send_all

READ_SIZE = 256 * 1024
KEPT_STDERR = 4096
STDOUT, STDERR = 1, 2


class DockerWire:
    """The stream as bytes in and bytes out."""

    def __init__(self, attached: Any) -> None:
        self._attached = attached  # kept: its response owns the connection
        found = getattr(attached, "_sock", attached)
        self._socket: socket.socket | OneAtATime = OneAtATime(found) if hasattr(found, "pending") else found
        self._socket.setblocking(False)
        self._view = memoryview(bytearray(READ_SIZE))
        self._head = bytearray()
        self._stream, self._left = STDOUT, 0
        self._errors = bytearray()
        self._early = self._buffered(attached)

    @staticmethod
    def _buffered(attached: Any) -> bytes:
        """Return what the HTTP reader took in behind the response's header; lost, it would shift every frame."""
        response = getattr(attached, "_response", None)
        reader = getattr(getattr(getattr(response, "raw", None), "_fp", None), "fp", None)
        try:
            return bytes(reader.read1(READ_SIZE) or b"") if reader is not None else b""
        except (OSError, ValueError):
            return b""

    def fileno(self) -> int:
        """Return the descriptor that a selector can wait on."""
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        """Return the stdout bytes that are there now; b"" for none yet; None once the container has ended."""
        if self._early:
            early, self._early = self._early, b""
            return self._stdout_of(memoryview(early))
        try:
            size = self._socket.recv_into(self._view)
        except BlockingIOError:
            return b""
        except OSError:
            return None
        return self._stdout_of(self._view[:size]) if size else None

    def _stdout_of(self, data: memoryview) -> bytes:
        parts: list[memoryview] = []
        while data:
            if not self._left:
                need = 8 - len(self._head)
                self._head += data[:need]
                data = data[need:]
                if len(self._head) < 8:
                    break
                self._stream, self._left = self._head[0], int.from_bytes(self._head[4:], "big")
                self._head.clear()
                continue
            part, data = data[: self._left], data[self._left :]
            self._left -= len(part)
            if self._stream == STDOUT:
                parts.append(part)
            else:
                self._errors += part
                del self._errors[:-KEPT_STDERR]
        return b"".join(parts)

    def send(self, data: bytes) -> None:
        """Write all of ``data`` to stdin. Raises ChannelError when the container is gone or does not read."""
        send_all(self._socket, data)

    def diagnostics(self) -> str:
        """Return the last of what the container wrote to stderr."""
        return self._errors.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Let go of the stream; the container lives on."""
        with contextlib.suppress(OSError):  # the other end was faster
            self._socket.shutdown(socket.SHUT_RDWR)
        let_go(self._attached)
        self._socket.close()


def let_go(attached: Any) -> None:
    """Close what the SDK has attached, and the connection under it."""
    response = getattr(attached, "_response", None)
    if response is not None:
        response.close()
        # The SDK ties the two to each other, and the response to the client's other connections: without this they
        # would stay open until the garbage collector comes.
        with contextlib.suppress(AttributeError):  # two threads may close it
            del attached._response
    attached.close()
