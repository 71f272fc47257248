"""Sessions over a real uvicorn: one for each client, one request at a time, clients that leave, and the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from sandbox_interpreter.agent.frames import Frame
from sandbox_interpreter.messages import fold
from sandbox_interpreter.models import choose
from sandbox_interpreter.servers import pool
from tests.support.agents import status, stream
from tests.support.fakes import ReplayModel, block, text
from tests.support.http_server import (
    ALICE,
    BOB,
    SECONDS,
    MakeMaker,
    Served,
    chunks,
    error_of,
    events,
    scripted,
    served,
    stream_of,
)


def slow_answers() -> tuple[Callable[[Frame], Iterator[bytes]], threading.Event]:
    """Return an agent's answer that says that it has begun, and ends when the event is set."""
    go = threading.Event()

    def answer(request: Frame) -> Iterator[bytes]:
        yield stream(request, b"begun")
        go.wait(SECONDS)
        yield status(request)

    return answer, go


# --- sessions ---


def test_each_client_has_a_session_of_its_own(make: MakeMaker) -> None:
    with served(make(), tokens={"alice": ALICE, "bob": BOB}) as server, \
            server.client(ALICE) as alice, server.client(BOB) as bob:
        assert alice.get("/sessions").json() == []
        stream_of(alice, "GET", "/chat", params={"message": "Hi."})
        [session] = alice.get("/sessions").json()
        assert (session["messages"], session["busy"], session["image"]) == (5, False, "python")
        assert bob.get("/sessions").json() == []
        assert bob.get("/history").json() == []
        assert bob.delete(f"/sessions/{session['id']}").status_code == 404
        stream_of(bob, "GET", "/chat", params={"message": "Ho."})
        assert bob.get("/history").json()[0]["content"] == "Ho."
        assert alice.get("/history").json()[0]["content"] == "Hi."
        assert len(server.interpreters) == 2


def test_a_closed_session_is_forgotten_and_the_next_request_opens_a_new_one(client: httpx.Client,
                                                                            server: Served) -> None:
    stream_of(client, "GET", "/chat", params={"message": "Hi."})
    [session] = client.get("/sessions").json()
    assert client.delete(f"/sessions/{session['id']}").status_code == 204
    assert client.get("/sessions").json() == client.get("/history").json() == []
    assert server.interpreters[0].workbench.workspace is None
    stream_of(client, "GET", "/chat", params={"message": "Hi."})
    assert client.get("/sessions").json()[0]["id"] != session["id"]


def test_an_idle_session_is_closed_and_a_busy_one_is_not(make: MakeMaker) -> None:
    slow, go = slow_answers()
    with served(make(engine=scripted(slow)), idle=1.0) as server, server.client() as client:
        with client.stream("POST", "/run", json={"code": "x", "stream": True}) as response:
            found = events(response.iter_lines())
            next(event for event in found if event.data.get("content") == "begun")
            go.wait(1.5)
            [session] = client.get("/sessions").json()
            assert (session["busy"], session["idle_seconds"]) == (True, 0.0)
            go.set()
            assert list(found)[-1].name == "result"
        for _ in range(100):
            if not client.get("/sessions").json():
                break
            threading.Event().wait(0.05)
        assert client.get("/sessions").json() == []


def test_there_are_at_most_so_many_sessions(make: MakeMaker) -> None:
    with served(make(), tokens={"alice": ALICE, "bob": BOB}, max_sessions=1) as server, \
            server.client(ALICE) as alice, server.client(BOB) as bob:
        alice.post("/run", json={"code": "1"})
        refused = bob.post("/run", json={"code": "1"})
        assert (refused.status_code, error_of(refused)["type"]) == (503, "too_many_sessions")
        assert int(refused.headers["retry-after"]) > 0
        assert bob.get("/history").json() == []
        alice.delete(f"/sessions/{alice.get('/sessions').json()[0]['id']}")
        assert bob.post("/run", json={"code": "1"}).status_code == 200


# --- one request at a time, and clients that leave ---


def test_a_second_request_is_told_that_the_session_is_busy(make: MakeMaker) -> None:
    slow, go = slow_answers()
    with served(make(engine=scripted(slow))) as server, server.client() as client:
        with client.stream("POST", "/run", json={"code": "x", "stream": True}) as response:
            found = events(response.iter_lines())
            next(event for event in found if event.data.get("content") == "begun")
            for refused in (client.post("/run", json={"code": "1"}), client.get("/chat", params={"message": "Hi."})):
                assert (refused.status_code, error_of(refused)["type"]) == (409, "session_busy")
            assert client.get("/history").status_code == 200
            go.set()
            assert list(found)[-1].name == "result"
        assert client.post("/run", json={"code": "1"}).status_code == 200


@pytest.mark.parametrize("streaming", [True, False])
def test_a_client_that_leaves_has_its_run_interrupted(streaming: bool, make: MakeMaker) -> None:
    begun, interrupted = threading.Event(), threading.Event()
    requests: list[Frame] = []

    def answer(request: Frame) -> Iterator[bytes]:
        requests.append(request)
        begun.set()
        if len(requests) > 1:
            yield status(request)

    def stop(_: Frame) -> Iterator[bytes]:
        interrupted.set()
        yield status(requests[0], exit_code=130, interrupted=True)

    with served(make(engine=scripted(answer, interrupt_request=stop))) as server, server.client() as client:
        with suppress(httpx.ReadTimeout), client.stream(
                "POST", "/run", json={"code": "x", "stream": streaming}, timeout=1) as response:
            begun.wait(SECONDS)
            response.close()
        assert interrupted.wait(SECONDS)
        assert client.post("/run", json={"code": "1"}).json()["exit_code"] == 0  # it waited for the end, and got in


def test_a_client_that_leaves_in_the_middle_of_an_answer_ends_it(make: MakeMaker,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    model = ReplayModel([[*text("Long."), *[each for _ in range(100_000) for each in text("and so on")]], text("New.")])
    monkeypatch.setattr(choose, "choose", lambda *_, **__: model)
    with served(make()) as server, server.client() as client:
        with client.stream("GET", "/chat", params={"message": "Go."}) as response:
            next(response.iter_raw())
        assert [message["content"] for message in fold(chunks(
            stream_of(client, "GET", "/chat", params={"message": "Again."})))] == ["New."]
        assert model.hung_up == 1


def test_closing_a_session_ends_the_request_in_it(make: MakeMaker) -> None:
    requests: list[Frame] = []

    def answer(request: Frame) -> Iterator[bytes]:
        requests.append(request)
        yield stream(request, b"begun")

    def stop(_: Frame) -> Iterator[bytes]:
        yield status(requests[0], interrupted=True)

    with served(make(engine=scripted(answer, interrupt_request=stop))) as server, server.client() as client, \
            client.stream("POST", "/run", json={"code": "x", "stream": True}) as response:
        found = events(response.iter_lines())
        next(event for event in found if event.data.get("content") == "begun")
        client.delete(f"/sessions/{client.get('/sessions').json()[0]['id']}")
        last = list(found)[-1]
        assert (last.name, last.data["error"]["type"]) == ("error", "session_closed")


@pytest.mark.parametrize("streaming", [True, False])
def test_the_end_of_the_server_breaks_off_what_goes_on_and_says_so(streaming: bool, make: MakeMaker) -> None:
    begun = threading.Event()
    requests: list[Frame] = []

    def answer(request: Frame) -> Iterator[bytes]:
        requests.append(request)
        yield stream(request, b"begun")
        begun.set()

    def stop(_: Frame) -> Iterator[bytes]:
        yield status(requests[0], interrupted=True)

    told: list[Any] = []
    with served(make(engine=scripted(answer, interrupt_request=stop))) as server:
        def ask() -> None:
            with server.client() as client:
                response = client.post("/run", json={"code": "x", "stream": streaming})
                told.extend(events(response.text.split("\n")) if streaming else [response])

        asking = threading.Thread(target=ask)
        asking.start()
        assert begun.wait(SECONDS)
    asking.join(SECONDS)
    if streaming:
        assert (told[-1].name, told[-1].data["error"]["type"]) == ("error", "ending")
    else:
        assert (told[0].status_code, error_of(told[0])["type"]) == (503, "ending")
    assert server.interpreters[0].workbench.workspace is None


def test_an_answer_that_hangs_does_not_keep_the_server_from_ending(make: MakeMaker,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "LEAVING_SECONDS", 0.3)
    asked, go = threading.Event(), threading.Event()

    class Hanging(ReplayModel):
        def stream(self, *_: Any, **__: Any) -> Any:
            asked.set()
            go.wait(SECONDS)
            yield from block("1")

    monkeypatch.setattr(choose, "choose", lambda *_, **__: Hanging([]))
    with served(make()) as server:
        left = server.client()
        asking = threading.Thread(target=lambda: left.get("/chat", params={"message": "x"}))
        asking.start()
        assert asked.wait(SECONDS)
        with server.client() as client:
            assert client.get("/chat", params={"message": "y"}).status_code == 409
        server.server.config.timeout_graceful_shutdown = 1
    asking.join(SECONDS)
    left.close()
    go.set()
    assert not asking.is_alive()
