"""The sessions of a server: one for each client, opened when it first asks, closed when it has been idle for long.

Everything here is called from the event loop, so nothing is locked; what takes time runs in threads.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus

from anyio import to_thread

from sandbox_interpreter.errors import RequestRefused, SandboxInterpreterError, UsageError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.servers.work import Work

NOTICING_SECONDS = 0.5
"""Seconds that a request waits in any case: that the client before it has left may be on its way."""
LEAVING_SECONDS = 10.0
"""Seconds that a request waits for the one before it, whose client has left, to come to an end: code that ignores
being interrupted is killed sooner than that."""
CLOSING_SECONDS = 10.0
"""Seconds that the end of the server waits for its sandboxes to close."""

logger = logging.getLogger(__name__)


class Session:
    """A client's conversation and sandbox, and the request that is being answered in it."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.id = secrets.token_hex(6)
        self.interpreter = interpreter
        # What a message names, such as a picture, would be taken from this machine, which is not the client's.
        interpreter.attaches = False
        self.created = datetime.now(UTC)
        self.work: Work | None = None
        self.free = asyncio.Event()
        self.free.set()
        self._last_used = time.monotonic()

    @property
    def busy(self) -> bool:
        """Return whether a request is being answered."""
        return not self.free.is_set()

    @property
    def idle_seconds(self) -> float:
        """Return the time since the last request ended; 0 while one is being answered."""
        return 0.0 if self.busy else time.monotonic() - self._last_used

    async def is_free_within(self, seconds: float) -> bool:
        """Return whether no request is being answered any more, after waiting for that so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.free.wait()
        return not self.busy

    def release(self) -> None:
        """End the request that was being answered."""
        self.work = None
        self._last_used = time.monotonic()
        self.free.set()

    def close(self) -> None:
        """End the sandbox. It takes tens of milliseconds, so call it in a thread."""
        try:
            self.interpreter.close()
        except UsageError:  # a thread is in the middle of an answer, and hangs there
            self.interpreter.workbench.close()


class Pool:
    """At most ``most`` sessions, by client. ``make`` makes the interpreter of a new one; ``idle`` is in seconds."""

    def __init__(self, make: Callable[[], Interpreter], *, most: int, idle: float) -> None:
        self._make = make
        self._most = most
        self._idle = idle
        self._sessions: dict[str, Session] = {}
        self._closing = False

    def find(self, client: str) -> Session | None:
        """Return the client's session, if one is open."""
        return self._sessions.get(client)

    @asynccontextmanager
    async def claimed(self, client: str) -> AsyncIterator[Session]:
        """Give the client's session, which is opened if need be, to one request.

        Raises RequestRefused: another request has it, there are too many sessions, or the server ends.
        """
        session = await self._claim(client)
        try:
            yield session
        finally:
            session.release()

    async def _claim(self, client: str) -> Session:
        while True:
            if self._closing:
                raise _ending()
            session = self._sessions.get(client) or self._open(client)
            if not session.busy:
                session.free.clear()
                return session
            await self._wait(session)

    def _open(self, client: str) -> Session:
        if len(self._sessions) >= self._most:
            raise _unavailable(f"All {self._most} sessions of this server are in use.",
                               "Try again later; an idle one is closed for you then.", "too_many_sessions")
        session = self._sessions[client] = Session(self._make())
        return session

    async def _wait(self, session: Session) -> None:
        """Wait for a request whose client has left to end. Raises RequestRefused if there is nothing to wait for."""
        if await session.is_free_within(NOTICING_SECONDS):
            return
        left = session.work is not None and session.work.left
        if not left or not await session.is_free_within(LEAVING_SECONDS):
            raise RequestRefused("Your session is busy with another request.", status=HTTPStatus.CONFLICT,
                                 kind="session_busy", next_step="Wait for that one, or stop it: close its connection.")

    # --- the end of sessions ---

    async def close(self, client: str) -> None:
        """Close the client's session; a request in it is broken off."""
        if session := self._sessions.pop(client, None):
            _cut(session, RequestRefused("This session was closed.", status=HTTPStatus.CONFLICT, kind="session_closed",
                                         next_step="The next request opens a new one."))
            await _close(session)

    async def close_idle(self) -> None:
        """Close the sessions that have been idle for too long."""
        late = [client for client, session in self._sessions.items() if session.idle_seconds > self._idle]
        await _close(*(self._sessions.pop(client) for client in late))

    async def close_all(self) -> None:
        """Close every session, and open no other."""
        self.break_off()
        sessions, self._sessions = list(self._sessions.values()), {}
        await _close(*sessions)

    def break_off(self) -> None:
        """Break off every request, and accept no other: the server ends."""
        self._closing = True
        for session in self._sessions.values():
            _cut(session, _ending())


def _cut(session: Session, reason: RequestRefused) -> None:
    if session.work:
        session.work.cut(reason)


async def _close(*sessions: Session) -> None:
    """Close sessions, all at once. Those that hang are left alone: their sandboxes end by themselves."""
    try:
        async with asyncio.timeout(LEAVING_SECONDS + CLOSING_SECONDS):
            await asyncio.gather(*map(_close_one, sessions))
    except TimeoutError:
        logger.warning("Not every session could be closed; what is left of them ends by itself.")


async def _close_one(session: Session) -> None:
    await session.is_free_within(LEAVING_SECONDS)  # its request has been broken off
    try:
        await to_thread.run_sync(session.close, abandon_on_cancel=True)
    except SandboxInterpreterError as error:
        logger.warning("A session could not be closed in good order: %s", error)


def _ending() -> RequestRefused:
    return _unavailable("The server is ending.", "Try again once it has started anew.", "ending")


def _unavailable(what: str, next_step: str, kind: str) -> RequestRefused:
    return RequestRefused(what, next_step=next_step, status=HTTPStatus.SERVICE_UNAVAILABLE, kind=kind, retry_after=10)
