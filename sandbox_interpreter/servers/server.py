"""uvicorn, with the patience that a server on a network needs, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

from fastapi import FastAPI
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.servers.pool import CLOSING_SECONDS, LEAVING_SECONDS, Pool

HEAD_SECONDS = 20.0
"""Seconds in which a request's head has to be there."""
STALLED_SECONDS = 60.0
"""Seconds that a reader may take none of what waits for it."""
MOST_CONNECTIONS = 512
"""Connections at once; each costs a descriptor, of which a process has 1024 by default."""


class Deadline:
    """Ends a connection unless it is met in time."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float, transport: asyncio.Transport) -> None:
        """Begin to count, unless it has begun."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, transport.abort)

    def met(self) -> None:
        """Count no further."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Protocol(H11Protocol):
    """HTTP whose client may neither take for ever to ask nor stop reading for ever; the methods are asyncio's."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head = Deadline()
        self._reading = Deadline()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base
        """Expect a request."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """Expect the rest of a request's head, if this was not all of it."""
        super().data_received(data)
        self._expect()

    def _expect(self) -> None:
        # Before the first request there is no cycle, whatever its annotation says.
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            self._head.begin(HEAD_SECONDS, self.transport)
        else:
            self._head.met()

    def on_response_complete(self) -> None:
        """Leave it to uvicorn to end a connection on which nothing follows."""
        self._head.met()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Expect that what waits is read."""
        super().pause_writing()
        self._reading.begin(STALLED_SECONDS, self.transport)

    def resume_writing(self) -> None:
        """Be content: it was read."""
        super().resume_writing()
        self._reading.met()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._head.met()
        self._reading.met()
        super().connection_lost(exc)


class HttpServer(Server):
    """Serves ``app`` until SIGINT or SIGTERM ends it; ``ready`` is called once it answers.

    Its end breaks off what goes on, instead of waiting for it, and leaves no sandbox. ``ended_by`` is the signal.
    """

    def __init__(self, app: FastAPI, ready: Callable[[], None] = lambda: None) -> None:
        super().__init__(Config(
            app, http=Protocol, ws="none", lifespan="on", log_config=None, log_level="warning", access_log=False,
            proxy_headers=False, server_header=False, limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=int(LEAVING_SECONDS + CLOSING_SECONDS)))
        self._pool: Pool = app.state.pool
        self._ready = ready
        self.ended_by: int | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as in the base
        """End; on a second Ctrl-C without waiting for anybody. The base would raise the signals anew after that."""
        self.force_exit = self.force_exit or (self.should_exit and sig == signal.SIGINT)
        self.should_exit = True
        self.ended_by = sig

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Break off every request, then end in good order."""
        self._pool.break_off()
        await super().shutdown(sockets)
        if self.force_exit:  # the base has left the application alone then, and with it the sandboxes
            await self.lifespan.shutdown()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to ``host`` and ``port``. Raises UsageError that says why it cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # the latter for names that no name server could know
        reason = error.strerror if isinstance(error, OSError) else "it is not the name of a host"
        raise UsageError(f"Cannot listen on {host[:80]!r}: {reason}.",
                         next_step="Name an address of this machine: --host 127.0.0.1") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise UsageError(f"Cannot listen on {host}, port {port}: {error.strerror}.",
                         next_step="Name another port: --port 0 takes any that is free.") from None
    return bound


def is_local(bound: socket.socket) -> bool:
    """Tell whether only this machine can reach the socket."""
    return ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback


def url_of(bound: socket.socket) -> str:
    """Return the address of the server that listens on the socket."""
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
