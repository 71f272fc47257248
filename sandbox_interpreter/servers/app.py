"""The routes, and what stands around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.security import HTTPBearer
from starlette.middleware.cors import CORSMiddleware

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import RequestRefused
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.servers import problems
from sandbox_interpreter.servers.encode import as_json
from sandbox_interpreter.servers.guard import Guard
from sandbox_interpreter.servers.jobs import ChatJob, RunJob
from sandbox_interpreter.servers.pool import Pool
from sandbox_interpreter.servers.responses import EventStream, JobResponse, JsonResult
from sandbox_interpreter.servers.schemas import (
    EVENTS,
    PROBLEM,
    ChatRequest,
    Health,
    Message,
    Problem,
    RunRequest,
    RunResult,
    Session,
)
from sandbox_interpreter.servers.tokens import Tokens
from sandbox_interpreter.version import VERSION

_ABOUT = """\
A language model whose code runs in hardened containers. Each client has one session: a conversation, and a sandbox
whose variables and files stay from one request to the next. A request that is given up is stopped.
"""
_REASONS = {
    400: "It cannot be done as it was asked.",
    401: "A token is missing, or not known.",
    403: "The request came from a foreign web page, or by a name that is not the server's.",
    404: "There is nothing of that name.",
    408: "The body did not arrive in time.",
    409: "Another request of this client is being answered.",
    413: "The body is too large.",
    422: "A value does not fit; the message names its place.",
    429: "Too many requests; Retry-After says how long to wait.",
    500: "The server failed.",
    502: "The model failed.",
    503: "The engine, the model, or a place for another session is missing now.",
}
_ALWAYS = (401, 403, 408, 413, 422, 429, 500)
_WORKING = (*_ALWAYS, 400, 409, 502, 503)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Problem, "description": _REASONS[status]} for status in sorted(statuses)}


def _streamed() -> dict[int | str, dict[str, Any]]:
    """Return the responses of a route that answers with a stream, but with JSON when it is an error."""
    # FastAPI would document a model as what the route itself answers with.
    error = {"application/json": {"schema": {"$ref": PROBLEM}}}
    errors: dict[int | str, dict[str, Any]] = {
        status: {"description": _REASONS[status], "content": error} for status in sorted(_WORKING)}
    return {200: {"description": "The answer as it is written.", "content": {"text/event-stream": EVENTS}}, **errors}


def create_app(make: Callable[[], Interpreter], settings: Settings, tokens: Tokens) -> FastAPI:
    """Return the ASGI application. ``make`` makes the interpreter of each new session; the rest is in ``settings``."""
    pool = Pool(make, most=settings.max_sessions, idle=settings.idle)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reaper = asyncio.create_task(_reap(pool, settings.idle))
        try:
            yield
        finally:
            reaper.cancel()
            await pool.close_all()

    # No pages for people: those of FastAPI load scripts from elsewhere, which could then do here what they like.
    app = FastAPI(title="sandbox-interpreter", version=VERSION, description=_ABOUT, lifespan=lifespan, docs_url=None,
                  redoc_url=None, redirect_slashes=False)
    app.state.pool = pool
    app.include_router(router, dependencies=[Depends(HTTPBearer(auto_error=False))] if tokens else [])
    app.include_router(open_router)
    problems.install(app)
    app.add_middleware(Guard, tokens=tokens, hosts=settings.allow_host, origins=settings.allow_origin,
                       rate=settings.rate)
    if settings.allow_origin:
        app.add_middleware(CORSMiddleware, allow_origins=settings.allow_origin, allow_methods=["GET", "POST", "DELETE"],
                           allow_headers=["Authorization", "Content-Type"])
    return app


async def _reap(pool: Pool, idle: float) -> None:
    """Close idle sessions for ever; each is open at most a tenth longer than it may."""
    while True:
        await asyncio.sleep(min(idle / 10, 30.0))
        await pool.close_idle()


router = APIRouter()
open_router = APIRouter()


@open_router.get("/health", responses=_errors(403, 408, 413, 429, 500))
async def health() -> Health:
    """Say that the server answers. Needs no token."""
    return Health(status="ok")


@router.get("/chat", status_code=HTTPStatus.OK, response_class=EventStream, responses={
    **_streamed(), 204: {"description": "A browser connected again by itself: the answer is not given twice."}})
async def chat(request: Request, query: Annotated[ChatRequest, Query()]) -> Response:
    """Answer `message`, as a stream of chunks.

    Code runs if the server was started with --auto-run; otherwise the stream says that it was not run.
    """
    if "last-event-id" in request.headers:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return _answer(request, query.message)


@router.post("/chat", status_code=HTTPStatus.OK, response_class=EventStream, responses=_streamed())
async def chat_with_body(request: Request, body: ChatRequest) -> Response:
    """Answer a message that is too long for an address, or that no log should hold."""
    return _answer(request, body.message)


@router.post("/run", response_model=RunResult, responses={
    200: {"content": {"text/event-stream": EVENTS}}, **_errors(*_WORKING)})
async def run(request: Request, body: RunRequest) -> Response:
    """Run code in the client's sandbox, and answer with its result, or with `stream` as it happens."""
    kind: type[JobResponse] = EventStream if body.stream else JsonResult
    return kind(_pool(request), _client(request), lambda session: RunJob(session.interpreter, body))


@router.get("/history", response_model=list[Message], response_model_exclude_unset=True, responses=_errors(*_ALWAYS))
def history(request: Request) -> Response:
    """Return the messages of the client's conversation; none where no session is open."""
    session = _pool(request).find(_client(request))
    return Response(as_json(session.interpreter.messages if session else []), media_type="application/json")


@router.get("/sessions", responses=_errors(*_ALWAYS))
async def sessions(request: Request) -> list[Session]:
    """Return the client's open session, if there is one."""
    session = _pool(request).find(_client(request))
    return [Session(
        id=session.id, created=session.created.isoformat(timespec="seconds"), busy=session.busy,
        idle_seconds=session.idle_seconds, messages=len(session.interpreter.messages),
        image=session.interpreter.settings.image)] if session else []


@router.delete("/sessions/{session_id}", status_code=HTTPStatus.NO_CONTENT, responses=_errors(*_ALWAYS, 404))
async def close_session(request: Request, session_id: str) -> Response:
    """Close the client's session: what runs is stopped, and variables, files and conversation are forgotten."""
    session = _pool(request).find(_client(request))
    if session is None or session.id != session_id:
        raise RequestRefused("There is no such session.", status=HTTPStatus.NOT_FOUND, kind="not_found",
                             next_step="Yours: GET /sessions")
    await _pool(request).close(_client(request))
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _answer(request: Request, message: str) -> EventStream:
    return EventStream(_pool(request), _client(request), lambda session: ChatJob(session.interpreter, message))


def _pool(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


def _client(request: Request) -> str:
    client: str = request.state.client
    return client
