"""A further process in a container, over the engine's exec calls and their hijacked HTTP connection."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import docker
from docker.errors import NotFound

from sandbox_interpreter.engines.base import CommandOutput
from sandbox_interpreter.engines.docker_attached import Attached
from sandbox_interpreter.engines.docker_client import translated
from sandbox_interpreter.engines.docker_wire import STDERR
from sandbox_interpreter.engines.sockets import send_all
from sandbox_interpreter.errors import EngineError

T = TypeVar("T")
READ_SIZE = 64 * 1024
HEAD = 8  # bytes before each piece: the stream, three zeros, the length


class DockerCommand:
    """One exec. It holds no more than one read of what was not taken yet: the engine waits with the rest."""

    def __init__(self, client: docker.APIClient, container_id: str, words: Sequence[str]) -> None:
        """Start ``words``. Neither the folder, which could lead out of a container, nor the user can be chosen."""
        self._client = client
        made = _found(lambda: client.exec_create(container_id, list(words), stdin=True), "prepare a command")
        self._id = str(made["Id"])
        self._attached = Attached(_found(lambda: client.exec_start(self._id, socket=True), "start a command"))
        self._socket = self._attached.socket
        self._unread = bytearray(self._attached.early)
        self._left = 0
        self._is_error = False
        self._ended = False

    def receive(self, most: int, seconds: float) -> CommandOutput | None:
        """Return at most ``most`` bytes; None if none came within ``seconds``. Raises EOFError at the end."""
        deadline = time.monotonic() + seconds
        while (output := self._taken(most)) is None:
            if self._ended:
                raise EOFError
            wait = deadline - time.monotonic()
            if wait <= 0 or not self._read(wait):
                return None
        return output

    def _taken(self, most: int) -> CommandOutput | None:
        while not self._left:
            if len(self._unread) < HEAD:
                return None
            self._is_error = self._unread[0] == STDERR
            self._left = int.from_bytes(self._unread[4:HEAD], "big")
            del self._unread[:HEAD]
        data = bytes(self._unread[: min(most, self._left)])
        if not data:
            return None
        del self._unread[: len(data)]
        self._left -= len(data)
        return CommandOutput(self._is_error, data)

    def _read(self, seconds: float) -> bool:
        """Tell whether bytes, or the end, came within ``seconds``."""
        view = memoryview(bytearray(READ_SIZE))
        try:
            size = self._socket.recv_into(view)
        except BlockingIOError:
            poll = select.poll()  # select() fails from descriptor 1024 on
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        except OSError:
            size = 0
        self._unread += view[:size]
        self._ended = not size
        return True

    def send(self, data: bytes) -> None:
        """Write all of ``data`` to its stdin. Raises ChannelError when it does not read."""
        send_all(self._socket, data)

    def close_stdin(self) -> None:
        """Let it see the end of its stdin."""
        with contextlib.suppress(OSError):  # it has ended
            self._socket.shutdown(socket.SHUT_WR)

    def exit_code(self) -> int | None:
        """Return what it ended with; None while it runs."""
        told = _found(lambda: self._client.exec_inspect(self._id), "look after a command")
        return None if told["Running"] or told["ExitCode"] is None else int(told["ExitCode"])

    def close(self) -> None:
        """Let go of its streams; it goes on."""
        self._attached.close()


def _found(call: Callable[[], T], what: str) -> T:
    """Return what ``call`` returns; also a container that is gone is an EngineError."""
    try:
        return translated(call, what)
    except NotFound:
        raise EngineError("The container is gone, so no command runs in it.",
                          next_step="Run again for a new sandbox.") from None
