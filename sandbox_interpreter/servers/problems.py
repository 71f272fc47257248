"""Errors as an HTTP client sees them: a status, and JSON that says what, which, and the next step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sandbox_interpreter.errors import (
    ConfigError,
    EngineUnreachable,
    ImageMissing,
    ModelError,
    ModelNotConfigured,
    RequestRefused,
    SandboxInterpreterError,
    UsageError,
)

# The first line that fits counts. A wrong setting is the server's fault, an unknown language the client's.
_STATUS: Sequence[tuple[type[SandboxInterpreterError], HTTPStatus]] = (
    (ConfigError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (UsageError, HTTPStatus.BAD_REQUEST),
    (EngineUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (ImageMissing, HTTPStatus.SERVICE_UNAVAILABLE),
    (ModelNotConfigured, HTTPStatus.SERVICE_UNAVAILABLE),
    (ModelError, HTTPStatus.BAD_GATEWAY),
    (SandboxInterpreterError, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def problem(kind: str, message: str, next_step: str = "") -> dict[str, Any]:
    """Return the body of an error; ``kind`` is a word for programs, the rest is for people."""
    return {"error": {"type": kind, "message": message, "next_step": next_step}}


def describe(error: Exception) -> dict[str, Any]:
    """Return the body for ``error``. What is no error of ours is told without any detail: those are for the log."""
    if isinstance(error, RequestRefused):
        return problem(error.kind, str(error), error.next_step)
    if isinstance(error, SandboxInterpreterError):
        return problem(_snake(type(error).__name__), str(error), error.next_step)
    return problem("internal_error", "The server failed in a way that it should not.",
                   "Try again; its log has the details.")


def response_to(error: Exception) -> JSONResponse:
    """Return the response to a request that ended with ``error``."""
    headers: dict[str, str] = {}
    if isinstance(error, RequestRefused):
        status = error.status
        headers |= {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
        headers |= {"Retry-After": str(error.retry_after)} if error.retry_after else {}
        # What a client still sends of a refused body is not read, so its connection is of no further use.
        unread = status in (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_TIMEOUT)
        headers |= {"Connection": "close"} if unread else {}
    else:
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    return JSONResponse(describe(error), status, headers)


def install(app: FastAPI) -> None:
    """Let every error of ``app`` be answered in this form."""
    app.add_exception_handler(SandboxInterpreterError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(_: Request, error: Exception) -> JSONResponse:
    return response_to(error)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Say which values do not fit, and never repeat them: they may be secret, huge, or not even text."""
    assert isinstance(error, RequestValidationError)
    found = [f"{_place(each['loc'])}: {each['msg']}" for each in error.errors()[:5]]
    return JSONResponse(problem("invalid_request", "; ".join(found) + ".", "The request's form: GET /openapi.json"),
                        HTTPStatus.UNPROCESSABLE_ENTITY)


def _place(location: Sequence[int | str]) -> str:
    return ".".join(str(part)[:40].encode("utf-8", "replace").decode() for part in location)


async def _http(_: Request, error: Exception) -> JSONResponse:
    """Answer for paths and methods that are not there."""
    assert isinstance(error, HTTPException)
    kind = _snake(HTTPStatus(error.status_code).phrase.title().replace(" ", ""))
    body = problem(kind, f"{error.detail}.", "What there is: GET /openapi.json")
    return JSONResponse(body, error.status_code, error.headers)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
