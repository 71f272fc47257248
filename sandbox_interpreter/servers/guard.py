"""What every request passes before it reaches a route: host, origin, token, rate and body are looked at, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox_interpreter.errors import RequestRefused
from sandbox_interpreter.servers import origins
from sandbox_interpreter.servers.problems import response_to
from sandbox_interpreter.servers.rate import RateLimit
from sandbox_interpreter.servers.tokens import LOCAL, Tokens

logger = logging.getLogger(__name__)

MOST_BODY = 4 * 1024 * 1024
"""Bytes of a request's body: code and prompts are text, and data belongs into the workspace."""
MOST_DRAINED = 64 * 1024 * 1024
"""Bytes that are read of a body that is refused: who is still sending when the connection closes never sees why."""
BODY_SECONDS = 20.0
"""Seconds in which a body has to be there."""
OPEN_PATHS = ("/health",)
"""What needs no token: a probe has none."""


class Gone(Exception):
    """The client left while it sent its request."""


class Guard:
    """ASGI middleware that passes on what may be served, with ``state["client"]`` saying whose request it is."""

    def __init__(self, app: ASGIApp, *, tokens: Tokens, hosts: Collection[str] = (), origins: Collection[str] = (),
                 rate: int = 0) -> None:
        self._app = app
        self._tokens = tokens
        self._hosts = {host.lower() for host in hosts}
        self._origins = set(origins)
        self._rate = RateLimit(rate)
        self._strangers = RateLimit(rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sending = _Private(send)
        try:
            self._admit(scope)
            body = await _body(scope, receive)
            await self._app(scope, _replayed(body, receive), sending)
        except Gone:
            pass
        except Exception as error:
            if not isinstance(error, RequestRefused):
                logger.exception("sbi serve failed in a way that it should not")
            if sending.started:
                raise
            await response_to(error)(scope, receive, sending)

    def _admit(self, scope: Scope) -> None:
        """Raise RequestRefused for a request that may not pass."""
        headers = Headers(scope=scope)
        origins.check(headers, hosts=self._hosts, origins=self._origins)
        peer = scope["client"][0] if scope.get("client") else ""
        if scope["path"] in OPEN_PATHS:
            self._count(self._strangers, peer)
            return
        client = self._client(headers)
        if client is None:
            self._count(self._strangers, peer)  # so that nobody can try tokens by the thousand
            raise _unknown(headers)
        self._count(self._rate, client)
        scope.setdefault("state", {})["client"] = client

    def _client(self, headers: Headers) -> str | None:
        if not self._tokens:
            return LOCAL
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return self._tokens.client(token.strip()) if scheme.lower() == "bearer" else None

    def _count(self, limit: RateLimit, who: str) -> None:
        if seconds := limit.wait(who):
            raise RequestRefused("Too many requests.", status=HTTPStatus.TOO_MANY_REQUESTS, kind="rate_limit",
                                 next_step=f"Try again in {seconds} s.", retry_after=seconds)


def _unknown(headers: Headers) -> RequestRefused:
    what = "This token is not known." if "authorization" in headers else "This server asks for a token."
    return RequestRefused(what, status=HTTPStatus.UNAUTHORIZED, kind="unauthorized",
                          next_step="Send the header: Authorization: Bearer TOKEN")


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Return the request's whole body. Raises RequestRefused for one that is too large or too slow, Gone."""
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdecimal() or int(length) > MOST_DRAINED:
        raise _too_large()
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                part, more = message.get("body", b""), message.get("more_body")
                size += len(part)
                if size > MOST_DRAINED or (size > MOST_BODY and not more):
                    raise _too_large()
                if size <= MOST_BODY:
                    body += part
                if not more:
                    return bytes(body)
    except TimeoutError:
        raise RequestRefused(f"The request's body did not arrive within {BODY_SECONDS:g} s.",
                             status=HTTPStatus.REQUEST_TIMEOUT, kind="body_too_slow",
                             next_step="Send it again, whole.") from None


def _too_large() -> RequestRefused:
    return RequestRefused(f"The request's body is larger than {MOST_BODY >> 20} MiB.",
                          status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, kind="body_too_large",
                          next_step="Send less; code can read data from its workspace.")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives ``body`` first, and then what still comes: the news that the client has left."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


class _Private:
    """A ``send`` that tells browsers and proxies to keep no answer, and to take it for what it says it is."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            headers["Cache-Control"] = "no-store"
            headers["X-Content-Type-Options"] = "nosniff"
        await self._send(message)
