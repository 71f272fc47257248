"""Agents for the scripted engine: an honest one, and the frames that one may say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sandbox_interpreter.agent.frames import PROTOCOL, Frame, encode

Answer = Callable[[Frame], Iterable[bytes]]


def ready(**changed: Any) -> bytes:
    """Return the first frame of an agent."""
    return encode("ready", **{"protocol": PROTOCOL, "python": "3.13.0", "languages": ["python", "shell"], **changed})


def stream(request: Frame, data: bytes, name: str = "stdout") -> bytes:
    """Return output of the run that ``request`` asked for."""
    return encode("stream", data, id=request.header["id"], name=name)


def status(request: Frame, **changed: Any) -> bytes:
    """Return the end of the run that ``request`` asked for."""
    return encode("status", **{"id": request.header["id"], "exit_code": 0, "limit": None, "duration_ms": 1.5,
                               "interrupted": False, **changed})


def agent(**answers: Answer) -> Answer:
    """Return an agent that says it is ready, answers pings, and answers other frames as told, else with silence."""
    usual: dict[str, Answer] = {"hello": lambda _: [ready()], "ping": lambda _: [encode("pong")]}

    def answer(frame: Frame) -> Iterator[bytes]:
        if known := {**usual, **answers}.get(frame.type):
            yield from known(frame)

    return answer


def display(request: Frame, parts: dict[str, int], payload: bytes = b"", **changed: Any) -> bytes:
    """Return a display whose forms have the lengths in ``parts``."""
    return encode("display_data", payload, **{"id": request.header["id"], "parts": parts, "result": False, **changed})


def failure(request: Frame, name: str, value: str, traceback: bytes = b"", **changed: Any) -> bytes:
    """Return a failure of the run that ``request`` asked for."""
    return encode("error", traceback, **{"id": request.header["id"], "ename": name, "evalue": value, **changed})


def echo(request: Frame) -> Iterator[bytes]:
    """Answer a run with its own code, and its end."""
    yield stream(request, request.payload)
    yield status(request)


def frames(*makers: Callable[[Frame], bytes]) -> Answer:
    """Return what answers a run with one frame of each maker."""
    return lambda request: [make(request) for make in makers]


def endless(request: Frame, make: Callable[[Frame], bytes], pause: float = 0) -> Iterator[bytes]:
    """Answer a run with the same frame again and again, ``pause`` seconds apart."""
    while True:
        yield make(request)
        time.sleep(pause)
