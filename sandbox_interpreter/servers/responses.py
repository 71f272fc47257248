"""Responses that come out of a job in a thread, and stop it when their client leaves."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sandbox_interpreter.servers.encode import event
from sandbox_interpreter.servers.jobs import Job
from sandbox_interpreter.servers.pool import Pool, Session
from sandbox_interpreter.servers.problems import describe, response_to
from sandbox_interpreter.servers.work import Work

KEEP_ALIVE_SECONDS = 4.0
"""Seconds of silence after which a stream says that it lives: httpx gives up after 5 unless told otherwise."""

_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"),
            (b"x-accel-buffering", b"no")]  # or nginx holds the events back
_BEGIN = b"id: 1\n\n"
"""With an id, a browser that connects again by itself says so, and gets no second answer."""


class JobResponse(Response):
    """The response to a request that works in its client's session. Subclasses say how the job's pieces travel.

    The session is claimed once the response begins, so that nothing stays claimed however the request ends.
    """

    def __init__(self, pool: Pool, client: str, make_job: Callable[[Session], Job]) -> None:
        super().__init__()
        self._pool = pool
        self._client = client
        self._make_job = make_job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond; return once the job has ended, whoever ended it. Raises RequestRefused."""
        async with self._pool.claimed(self._client) as session:
            session.work = work = Work(self._make_job(session))
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(_watch, receive, work)
                    await self.deliver(work, scope, receive, send)
                    group.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await work.end()

    async def deliver(self, work: Work, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what comes of the work, until its mailbox is over."""
        raise NotImplementedError


class EventStream(JobResponse):
    """A job's events as they come; an error is the last of them."""

    media_type = "text/event-stream"

    async def deliver(self, work: Work, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # the base's
        """Send the events; between them, now and then, a comment that keeps the connection alive."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send({"type": "http.response.body", "body": _BEGIN, "more_body": True})
        while (events := await work.mailbox.take(KEEP_ALIVE_SECONDS)) is not None:
            await send({"type": "http.response.body", "body": events or b": still here\n\n", "more_body": True})
        last = event(describe(work.error), "error") if work.error else b""
        await send({"type": "http.response.body", "body": last, "more_body": False})


class JsonResult(JobResponse):
    """A job's one result, or the error that it ended with."""

    async def deliver(self, work: Work, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the result, and send it."""
        result = b""
        while (piece := await work.mailbox.take(KEEP_ALIVE_SECONDS)) is not None:
            result += piece
        response = response_to(work.error) if work.error else Response(result, media_type="application/json")
        await response(scope, receive, send)


async def _watch(receive: Receive, work: Work) -> None:
    """Return once the client has left, after breaking off what nobody waits for any more."""
    while (await receive())["type"] != "http.disconnect":
        pass
    work.leave()
