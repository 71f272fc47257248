"""The HTTP server under test: the real uvicorn on loopback, in a thread, with interpreters that a test makes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.servers import tokens as keys
from sandbox_interpreter.servers.app import create_app
from sandbox_interpreter.servers.server import HttpServer, listen, url_of
from tests.support.agents import agent, echo

SECONDS = 30.0
ALICE, BOB = "alice-0123456789abcdef", "bob-0123456789abcdefgh"
"""Tokens of two clients."""
Make = Callable[[], Interpreter]
MakeMaker = Callable[..., Make]


@dataclass(frozen=True)
class Event:
    """One server-sent event: its name, and the value on its data line."""

    name: str
    data: Any


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events of a stream, as a browser reads them; comments and events without data are passed over."""
    name, data = "message", None
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "event":
            name = value
        elif key == "data":
            assert data is None, "two data lines in one event"
            data = value
        elif not line:
            if data is not None:
                yield Event(name, json.loads(data))
            name, data = "message", None


def stream_of(client: httpx.Client, method: str, path: str, **options: Any) -> list[Event]:
    """Return the events of a whole stream."""
    with client.stream(method, path, **options) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        return list(events(response.iter_lines()))


def chunks(found: Iterable[Event]) -> list[Any]:
    """Return the chunks among events."""
    return [event.data for event in found if event.name == "message"]


def error_of(response: httpx.Response) -> dict[str, str]:
    """Return the error that a response tells, which has all its parts and nothing of our insides."""
    error: dict[str, str] = response.json()["error"]
    assert set(error) == {"type", "message", "next_step"}
    assert error["message"].endswith(".")
    assert "Traceback" not in response.text
    assert "sandbox_interpreter" not in response.text
    return error


def scripted(answer: Any = echo, **answers: Any) -> Any:
    """Return an engine whose agents answer runs with ``answer``."""
    return ScriptedEngine(agent(execute_request=answer, **answers))


@dataclass
class Served:
    """A server that answers at ``url``."""

    url: str
    server: HttpServer
    interpreters: list[Interpreter] = field(default_factory=list)
    """Those of the sessions that were opened, in that order."""

    def client(self, token: str = "", **options: Any) -> httpx.Client:
        """Return a client, which shows ``token`` if there is one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS, trust_env=False, **options)


@contextmanager
def served(make: Callable[[], Interpreter], *, tokens: dict[str, str] | None = None, **given: Any) -> Iterator[Served]:
    """Give a server with these settings; ``tokens`` by client. Afterwards it has ended, and its thread too."""
    known = keys.collect([(name, token, "test") for name, token in (tokens or {}).items()])
    made: list[Interpreter] = []

    def make_and_keep() -> Interpreter:
        made.append(make())
        return made[-1]

    ready = threading.Event()
    with listen("127.0.0.1", 0) as bound:
        url = url_of(bound)
        server = HttpServer(create_app(make_and_keep, Settings(**given), known), ready.set)
        thread = threading.Thread(target=server.run, args=([bound],), name="served")
        thread.start()
        try:
            assert ready.wait(SECONDS)
            yield Served(url, server, made)
        finally:
            server.should_exit = True
            thread.join(SECONDS)
            assert not thread.is_alive()
