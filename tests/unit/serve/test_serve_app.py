"""Chats, histories and runs over a real uvicorn, with a scripted model and an engine that replays."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox_interpreter.agent.frames import Frame
from sandbox_interpreter.messages import fold
from sandbox_interpreter.models import choose
from sandbox_interpreter.servers import results
from tests.support.agents import status, stream
from tests.support.fakes import ReplayModel, text
from tests.support.http_server import (
    Event,
    MakeMaker,
    Served,
    chunks,
    scripted,
    served,
    stream_of,
)
from tests.support.pictures import base64_png


def test_chat_streams_the_chunks_that_python_would_get(client: httpx.Client, server: Served) -> None:
    found = stream_of(client, "GET", "/chat", params={"message": "Set x."})
    assert found[-1] == Event("end", {"type": "end"})
    assert [message["content"] for message in fold(chunks(found))] == ["One.", "x = 2", "x = 2", "Set."]
    history = client.get("/history").json()
    assert history == server.interpreters[0].messages
    assert history[0] == {"role": "user", "type": "message", "content": "Set x."}
    assert history[1:] == fold(chunks(found))


def test_each_data_line_is_one_chunk_of_json_whatever_is_in_it(make: MakeMaker) -> None:
    hostile = "a\r\n\ndata: {}\n\nevent: end\n\u2028 é\x00 ```"
    with served(make({"text": hostile.replace("\x00", "")})) as server, server.client() as client, \
            client.stream("GET", "/chat", params={"message": hostile}) as response:
        body = response.read()
    assert body.isascii()
    data = [line for line in body.split(b"\n") if line.startswith(b"data: ")]
    said = [json.loads(line.removeprefix(b"data: ")) for line in data]
    assert "".join(chunk.get("content", "") for chunk in said) == hostile.replace("\x00", "")


def test_a_long_message_may_be_posted(client: httpx.Client) -> None:
    found = stream_of(client, "POST", "/chat", json={"message": "long " * 50_000})
    assert found[-1].name == "end"
    assert len(client.get("/history").json()[0]["content"]) == 250_000


def test_a_file_of_the_servers_that_a_prompt_names_is_not_read(make: MakeMaker, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    class Seeing(ReplayModel):
        def sees(self) -> bool:
            return True

    picture = tmp_path / "private.png"
    picture.write_bytes(base64.b64decode(base64_png()))
    model = Seeing([text("I see.")] * 6)
    monkeypatch.setattr(choose, "choose", lambda *_, **__: model)
    with served(make()) as server, server.client() as client:
        for prompt in (f"What is in {picture}?", f"What is in '{picture}'?", f"file://{picture}"):
            stream_of(client, "GET", "/chat", params={"message": prompt})
            stream_of(client, "POST", "/chat", json={"message": prompt})
        assert {message["type"] for message in client.get("/history").json()} == {"message"}
    assert len(model.asked) == 6


def test_without_auto_run_the_code_is_not_run_and_the_stream_says_so(make: MakeMaker) -> None:
    with served(make(auto_run=False)) as server, server.client() as client:
        found = chunks(stream_of(client, "GET", "/chat", params={"message": "Go."}))
    assert {"role": "computer", "type": "confirmation", "format": "execution",
            "content": {"type": "code", "format": "python", "content": "x = 2"}} in found
    outputs = [message["content"] for message in fold(found) if message["type"] == "console"]
    assert len(outputs) == 1
    assert "not run" in outputs[0]
    assert "auto_run" in outputs[0]
    assert server.interpreters[0].workbench.workspace is None


def test_a_browser_that_connects_again_gets_no_second_answer(client: httpx.Client) -> None:
    with client.stream("GET", "/chat", params={"message": "Go."}) as response:
        assert next(response.iter_text()).startswith("id: 1\n\n")
    again = client.get("/chat", params={"message": "Go."}, headers={"Last-Event-ID": "1"})
    assert (again.status_code, again.content) == (204, b"")
    assert len([each for each in client.get("/history").json() if each["role"] == "user"]) == 1


def test_run_answers_with_streams_exit_code_and_limit(make: MakeMaker) -> None:
    def answer(request: Frame) -> Iterator[bytes]:
        yield stream(request, "é".encode()[:1])
        yield stream(request, "é".encode()[1:] + b"\xff")
        yield stream(request, b"bad\n", "stderr")
        yield status(request, exit_code=3, limit="pids")

    with served(make(engine=scripted(answer))) as server, server.client() as client:
        response = client.post("/run", json={"code": "…", "language": "sh"})
    assert response.json() == {"type": "result", "exit_code": 3, "limit": "pids", "duration_ms": 1.5,
                               "interrupted": False, "stdout": "é\ufffd", "stderr": "bad\n", "images": [],
                               "truncated": False}
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_run_streams_if_asked(client: httpx.Client) -> None:
    found = stream_of(client, "POST", "/run", json={"code": "hello", "stream": True})
    assert [message["content"] for message in fold(chunks(found))] == ["hello"]
    assert found[-1] == Event("result", {"type": "result", "exit_code": 0, "duration_ms": 1.5, "limit": None,
                                         "interrupted": False})


def test_a_result_that_is_too_large_is_cut_and_says_so(make: MakeMaker,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_RESULT", 10)

    def answer(request: Frame) -> Iterator[bytes]:
        yield stream(request, b"12345678")
        yield stream(request, b"abcd", "stderr")
        yield stream(request, b"more")
        yield status(request)

    with served(make(engine=scripted(answer))) as server, server.client() as client:
        result = client.post("/run", json={"code": "x"}).json()
    assert (result["stdout"], result["stderr"], result["truncated"]) == ("12345678", "ab", True)


@pytest.mark.parametrize(("wanted", "limit", "expected"), [
    (None, 0, 0), (5, 0, 5), (0, 0, 0), (None, 60, 60), (5, 60, 5), (90, 60, 60), (0, 60, 60),
])
def test_a_client_may_lower_the_time_limit_but_not_raise_it(wanted: float | None, limit: float, expected: float,
                                                            make: MakeMaker) -> None:
    def answer(request: Frame) -> Iterator[bytes]:
        yield stream(request, str(request.header["timeout"]).encode())
        yield status(request)

    with served(make(engine=scripted(answer), timeout=limit)) as server, server.client() as client:
        result = client.post("/run", json={"code": "x", "timeout": wanted}).json()
    assert float(result["stdout"]) == expected
