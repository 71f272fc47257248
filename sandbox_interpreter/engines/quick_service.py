"""An engine's API on a socket of this machine, a question at a time, without the SDK, whose import takes longer.

Each question is an HTTP/1.0 request on a connection of its own: the engine ends its answer with the connection, so
there is nothing to take apart. Methods raise EngineUnreachable or EngineError.
"""

from __future__ import annotations

import json
import socket
import threading
from typing import Any, NamedTuple

from sandbox_interpreter.errors import EngineError, EngineUnreachable

OK, NOT_FOUND, CONFLICT = range(200, 300), 404, 409
ANSWER_SECONDS = 60
_MOST_ANSWER = 64 * 1024 * 1024
_MOST_HEAD = 64 * 1024


class Answer(NamedTuple):
    """A status, the head that it stands in, and what came with it."""

    status: int
    head: bytes
    body: bytes

    @property
    def data(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """Return the value of a header; None where there is none."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.decode("latin-1").lower() == name.lower():
                return value.decode("latin-1").strip()
        return None

    def check(self, what: str, *allowed: int) -> Answer:
        """Return this answer if it is a good one, or of an ``allowed`` status. Raises EngineError."""
        if self.status in OK or self.status in allowed:
            return self
        try:
            said = str(self.data["message"])
        except (ValueError, KeyError, TypeError):
            said = self.body[:300].decode("utf-8", "replace")
        raise EngineError(f"The engine could not {what}: {' '.join(said.split())[:300]}.",
                          next_step="What is wrong: sbi doctor")


class Service:
    """The API behind a socket; ``path`` is the socket's. Thread-safe."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._greeting: Answer | None = None

    @property
    def is_podman(self) -> bool:
        """Tell whether it is Podman that answers."""
        return self._hello().header("Libpod-Api-Version") is not None

    def _hello(self) -> Answer:
        """Return what the engine says of itself; asked once."""
        with self._lock:
            self._greeting = self._greeting or self._asked("GET", "/_ping").check("answer")
            return self._greeting

    def _versioned(self, target: str) -> str:
        """Return a target in the engine's own version: the oldest that one engine speaks, a newer one refuses."""
        version = self._hello().header("Api-Version")
        return f"/v{version}{target}" if version else target

    def ask(self, method: str, target: str, body: object = None) -> Answer:
        """Return the answer to a question; ``body`` is sent as JSON."""
        return self._asked(method, self._versioned(target), body)

    def _asked(self, method: str, target: str, body: object = None) -> Answer:
        data = b"" if body is None else json.dumps(body).encode()
        request = (f"{method} {target} HTTP/1.0\r\nHost: engine\r\nContent-Type: application/json\r\n"
                   f"Content-Length: {len(data)}\r\n\r\n")
        try:
            with self._connected() as connection:
                connection.sendall(request.encode() + data)
                received = bytearray()
                while part := connection.recv(1 << 16):
                    received += part
                    if len(received) > _MOST_ANSWER:
                        raise OSError("its answer has no end")
            head, _, rest = bytes(received).partition(b"\r\n\r\n")
            return Answer(_status(head), head, rest)
        except (OSError, ValueError, IndexError) as error:
            raise self._unreachable(error) from None

    def hijack(self, target: str) -> socket.socket:
        """Return a connection that is a container's stream from now on."""
        target = self._versioned(target)
        connection = self._connected()
        try:
            connection.sendall(f"POST {target} HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                               "Content-Length: 0\r\n\r\n".encode())
            head = bytearray()
            while not head.endswith(b"\r\n\r\n") and len(head) < _MOST_HEAD:  # byte by byte: the rest is the stream's
                head += connection.recv(1) or b"\r\n\r\n"
            if _status(bytes(head)) not in (101, 200):
                said = bytes(head[:80]).decode("latin-1")
                raise EngineError(f"The engine could not attach to a container: {said!r}.",
                                  next_step="What is wrong: sbi doctor")
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError | ValueError | IndexError):
                raise self._unreachable(error) from None
            raise
        return connection

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise self._unreachable(error) from None
        return connection

    def _unreachable(self, error: Exception) -> EngineUnreachable:
        reason = getattr(error, "strerror", "") or error
        if isinstance(error, TimeoutError):
            reason = f"it said nothing for {ANSWER_SECONDS} s"
        return EngineUnreachable(f"No container engine answers at unix://{self._path}: {reason}.",
                                 next_step="Start it, or name another with --engine. See: sbi doctor")


def _status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])
