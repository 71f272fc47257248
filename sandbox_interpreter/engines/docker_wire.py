"""A container's attached stdin and stdout over the engine's hijacked HTTP connection.

The engine multiplexes stdout and stderr: 8 bytes (stream, three zeros, length), then that many bytes. Reads do not
line up with those, so what is left over is carried to the next read.
"""

from __future__ import annotations

from typing import Any

from sandbox_interpreter.engines.docker_attached import Attached
from sandbox_interpreter.engines.sockets import send_all

READ_SIZE = 256 * 1024
KEPT_STDERR = 4096
STDOUT, STDERR = 1, 2


class DockerWire:
    """The stream as bytes in and bytes out."""

    def __init__(self, attached: Any) -> None:
        self._attached = Attached(attached)
        self._socket = self._attached.socket
        self._early = self._attached.early
        self._view = memoryview(bytearray(READ_SIZE))
        self._head = bytearray()
        self._stream, self._left = STDOUT, 0
        self._errors = bytearray()

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
        self._attached.close()
