"""What the server answers when something is wrong, and to whom it answers at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from sandbox_interpreter.errors import ModelUnavailable
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.models import choose
from sandbox_interpreter.servers import guard
from tests.support.fakes import ReplayModel, text
from tests.support.http_server import (
    ALICE,
    BOB,
    Event,
    MakeMaker,
    Served,
    chunks,
    error_of,
    served,
    stream_of,
)

# --- errors ---


def test_an_error_of_the_model_is_the_last_event(make: MakeMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ReplayModel([[*text("I am"), ModelUnavailable("The model fell over.", next_step="Pick it up.")]])
    monkeypatch.setattr(choose, "choose", lambda *_, **__: model)
    with served(make()) as server, server.client() as client:
        found = stream_of(client, "GET", "/chat", params={"message": "Go."})
        assert found[-1] == Event("error", {"error": {"type": "model_unavailable", "message": "The model fell over.",
                                                      "next_step": "Pick it up."}})
        assert chunks(found)[-1] == {"role": "assistant", "type": "message", "end": True}
        assert [message["content"] for message in client.get("/history").json()] == ["Go.", "I am"]


@pytest.mark.parametrize("streaming", [True, False])
def test_a_fault_of_ours_is_logged_and_tells_the_client_nothing_else(
        streaming: bool, make: MakeMaker, monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture) -> None:
    with served(make()) as server, server.client() as client:
        client.post("/run", json={"code": "1"})
        monkeypatch.setattr(server.interpreters[0].workbench, "execute", broken)
        if streaming:
            told = stream_of(client, "POST", "/run", json={"code": "1", "stream": True})[-1].data["error"]
        else:
            response = client.post("/run", json={"code": "1"})
            assert response.status_code == 500
            told = error_of(response)
    assert told["type"] == "internal_error"
    assert "ValueError: /secret/path" in caplog.text
    assert "/secret" not in json.dumps(told)


def broken(*_: Any, **__: Any) -> Any:
    raise ValueError("/secret/path")


def test_a_session_that_cannot_be_opened_leaves_nothing_claimed(make: MakeMaker,
                                                                caplog: pytest.LogCaptureFixture) -> None:
    makers: list[Callable[[], Interpreter]] = [broken, make()]

    def make_next() -> Interpreter:
        return makers.pop(0)()

    with served(make_next) as server, server.client() as client:
        response = client.post("/run", json={"code": "1"})
        assert (response.status_code, error_of(response)["type"]) == (500, "internal_error")
        assert client.post("/run", json={"code": "1"}).status_code == 200
    assert "ValueError: /secret/path" in caplog.text


def test_without_an_engine_the_run_is_refused_with_the_next_step(make: MakeMaker) -> None:
    with served(make(engine="tcp://127.0.0.1:9")) as server, server.client() as client:
        response = client.post("/run", json={"code": "1"})
        assert (response.status_code, error_of(response)["type"]) == (503, "engine_unreachable")
        assert error_of(response)["next_step"]
        last = stream_of(client, "POST", "/run", json={"code": "1", "stream": True})[-1]
        assert (last.name, last.data["error"]["type"]) == ("error", "engine_unreachable")


@pytest.mark.parametrize(("method", "path", "options", "status_code", "said"), [
    ("GET", "/chat", {}, 422, "query.message"),
    ("GET", "/chat", {"params": {"message": ""}}, 422, "query.message"),
    ("GET", "/chat", {"params": {"message": " \n"}}, 422, "query.message"),
    ("GET", "/chat", {"params": {"message": "x", "mesage": "y"}}, 422, "query.mesage"),
    ("POST", "/chat", {"json": {"message": 5}}, 422, "body.message"),
    ("POST", "/chat", {"json": {"message": "a", "extra": 1}}, 422, "body.extra"),
    ("POST", "/run", {"json": {}}, 422, "body.code"),
    ("POST", "/run", {"json": {"code": "1", "timeout": -1}}, 422, "body.timeout"),
    ("POST", "/run", {"content": b'{"code": "1", "timeout": NaN}', "headers": {"content-type": "application/json"}},
     422, "body.timeout"),
    ("POST", "/run", {"content": b'{"code": "\\ud800"}', "headers": {"content-type": "application/json"}}, 422,
     "body.code"),
    ("POST", "/run", {"json": {"code": "1", "timeout": "5"}}, 422, "body.timeout"),
    ("POST", "/run", {"json": {"code": "1", "stream": "yes"}}, 422, "body.stream"),
    ("POST", "/run", {"json": [1]}, 422, "body"),
    ("POST", "/run", {"content": b"{", "headers": {"content-type": "application/json"}}, 422, "body.1"),
    ("POST", "/run", {"content": b"\xff\xfe\x00", "headers": {"content-type": "application/json"}}, 400, "body"),
    ("POST", "/run", {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}}, 400, "body"),
    ("POST", "/run", {"content": b'{"code": "1"}', "headers": {"content-type": "text/plain"}}, 422, "body"),
    ("POST", "/run", {"json": {"code": "1", "language": "klingon"}}, 400, "Unknown language 'klingon'"),
    ("POST", "/run", {"json": {"code": "x" * (1024 * 1024 + 1)}}, 422, "body.code"),
    ("GET", "/nowhere", {}, 404, "Not Found"),
    ("DELETE", "/sessions/none", {}, 404, "no such session"),
    ("GET", "/run", {}, 405, "Method Not Allowed"),
    ("PUT", "/chat", {}, 405, "Method Not Allowed"),
])
def test_what_does_not_fit_is_refused_by_its_place(method: str, path: str, options: dict[str, Any], status_code: int,
                                                   said: str, client: httpx.Client, server: Served) -> None:
    response = client.request(method, path, **options)
    assert response.status_code == status_code, response.text
    assert said in error_of(response)["message"]
    assert error_of(response)["next_step"]
    assert not server.interpreters  # nothing was opened for it
    if status_code == 405:
        assert response.headers["allow"]


# --- who may ask ---


def test_only_those_with_a_token_may_ask(make: MakeMaker) -> None:
    with served(make(), tokens={"alice": ALICE}) as server:
        with server.client(ALICE) as alice:
            assert alice.get("/history").status_code == 200
            assert alice.get("/openapi.json").status_code == 200
        with server.client() as stranger:
            for shown in (None, f"Bearer {BOB}", f"Basic {ALICE}", ALICE, "Bearer", "Bearer \xff"):
                headers = [(b"Authorization", shown.encode("latin-1"))] if shown else []
                for path in ("/history", "/openapi.json", "/nowhere", "/chat?message=x"):
                    response = stranger.get(path, headers=headers)
                    assert (response.status_code, error_of(response)["type"]) == (401, "unauthorized")
                    assert response.headers["www-authenticate"] == "Bearer"
            assert stranger.get("/health").json() == {"status": "ok"}
    assert not server.interpreters


def test_too_many_requests_have_to_wait(make: MakeMaker) -> None:
    with served(make(), tokens={"alice": ALICE, "bob": BOB}, rate=3) as server, server.client(ALICE) as alice, \
            server.client(BOB) as bob, server.client() as stranger:
        assert [alice.get("/history").status_code for _ in range(4)] == [200, 200, 200, 429]
        assert int(alice.get("/history").headers["retry-after"]) in range(1, 21)
        assert bob.get("/history").status_code == 200
        assert [stranger.get("/history").status_code for _ in range(4)] == [401, 401, 401, 429]
        assert bob.get("/history").status_code == 200  # others' guesses do not lock a client out


def test_foreign_pages_and_names_are_refused_before_anything_runs(client: httpx.Client, server: Served) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        for refused in (client.get("/chat", params={"message": "x"}, headers=headers), client.get("/health",
                        headers=headers), client.post("/run", json={"code": "1"}, headers=headers)):
            assert refused.status_code == 403
            assert error_of(refused)["next_step"]
    assert not server.interpreters
    assert client.options("/run", headers={"Origin": "https://evil.example",
                                           "Access-Control-Request-Method": "POST"}).status_code == 403


def test_allowed_pages_get_what_a_browser_asks_for(make: MakeMaker) -> None:
    origin = "https://app.example"
    with served(make(), tokens={"alice": ALICE}, allow_origin=(origin,)) as server, server.client() as client:
        asked = client.options("/run", headers={
            "Origin": origin, "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type"})
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (200, origin)
        answered = client.get("/history", headers={"Origin": origin, "Authorization": f"Bearer {ALICE}"})
        assert (answered.status_code, answered.headers["access-control-allow-origin"]) == (200, origin)
        refused = client.get("/history", headers={"Origin": origin})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)
        assert client.get("/history", headers={"Origin": "https://evil.example"}).status_code == 403


# --- bodies ---


def test_a_body_that_is_too_large_is_refused(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_DRAINED", 9 << 20)
    body = json.dumps({"code": "x" * (8 << 20)}).encode()
    headers = {"content-type": "application/json"}
    refused = client.post("/run", content=body, headers=headers)
    assert (refused.status_code, error_of(refused)["type"]) == (413, "body_too_large")

    def pieces(body: bytes) -> Iterator[bytes]:
        yield body[:500]
        yield body[500:]

    refused = client.post("/run", content=pieces(body), headers=headers)  # without a length in front
    assert (refused.status_code, error_of(refused)["type"]) == (413, "body_too_large")
    for endless in (body * 2, pieces(body * 2)):
        with suppress(httpx.WriteError, httpx.ReadError):  # the server hangs up before it has all of it
            refused = client.post("/run", content=endless, headers=headers)
            assert (refused.status_code, error_of(refused)["type"]) == (413, "body_too_large")
    assert client.get("/health").status_code == 200


def test_a_body_that_does_not_come_is_refused(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.2)
    go = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b'{"code":'
        go.wait(1)
        yield b'"1"}'

    with suppress(httpx.WriteError):
        refused = client.post("/run", content=pieces(), headers={"content-type": "application/json"})
        assert (refused.status_code, error_of(refused)["type"]) == (408, "body_too_slow")
    assert client.get("/health").status_code == 200
