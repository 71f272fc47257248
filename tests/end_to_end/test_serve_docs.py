"""docs/http-api.md: its commands and its examples run as they stand there, but for the port."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.messages import fold
from tests.support.http_process import Server, script, serving
from tests.support.http_server import chunks, events, stream_of
from tests.support.sbi_process import SECONDS, Commands

PAGE = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text("utf-8")
USUAL = "http://127.0.0.1:8000"


def commands(beginning: str) -> list[str]:
    """Return the commands of the page that begin like this, each with its continued lines."""
    found = re.findall(rf"^({beginning}(?:.*\\\n)*.*)$", PAGE, re.MULTILINE)
    assert found
    return found


def examples() -> list[str]:
    """Return the page's Python."""
    return re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def server(sbi: Commands) -> Iterator[Server]:
    with serving(sbi, "-m", "demo", "--auto-run") as one:
        yield one


def test_every_curl_of_the_page_works_without_and_with_a_token(sbi: Commands, tmp_path: Path) -> None:
    model = script(tmp_path, {"code": "open('rainfall.csv', 'w')"}, {"text": "Done."})
    [make_token] = commands("export SBI_TOKEN")
    token = subprocess.run(["bash", "-c", f"{make_token}; echo $SBI_TOKEN"], capture_output=True, text=True, check=True)
    for env in ({}, {"SBI_TOKEN": token.stdout.strip()}):
        with serving(sbi, "-m", model, "-y", env=env) as server:
            outputs = [curl(command, server, env) for command in commands("curl")
                       if not env or "$SBI_TOKEN" in command]
            assert all(outputs)
            for output in outputs:
                if not output.startswith("id: "):
                    assert "error" not in json.loads(output)


def curl(command: str, server: Server, env: dict[str, str]) -> str:
    line = command.replace(USUAL, server.url).replace("curl ", "curl --noproxy '*' -sS ", 1)
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=SECONDS, check=True,
                          env=os.environ | env).stdout


def test_the_result_and_the_error_of_the_page_are_of_the_real_shape(server: Server) -> None:
    shown = json.loads(re.sub(r"\n +", "", *re.findall(r'^    (\{"type":"result".*?\})\n', PAGE, re.M | re.S)))
    with server.client() as client:
        result = client.post("/run", json={"code": "1"}).json()
        assert shown.keys() == result.keys()
        [error] = re.findall(r'^    (\{"error".*)$', PAGE, re.MULTILINE)
        assert json.loads(error)["error"].keys() == client.get("/nowhere").json()["error"].keys()


def test_the_stream_of_the_page_is_what_comes(sbi: Commands, tmp_path: Path) -> None:
    shown = re.sub(r"^    (data: .*)$", r"\1\n", PAGE.partition("## The stream")[2].partition("A picture")[0],
                   flags=re.MULTILINE).replace("    event", "event")
    told = list(events(shown.split("\n")))
    model = script(tmp_path, {"text": "I count.", "code": "print(1)"}, {"expect": "1"})
    with serving(sbi, "-m", model, "-y") as server, server.client() as client:
        came = stream_of(client, "GET", "/chat", params={"message": "Count."})
    assert told[-1] == came[-1]
    assert fold(chunks(told)) == fold(chunks(came))
    assert {"role": "computer", "type": "console", "format": "active_line", "content": 1} in chunks(told)


def test_the_client_of_the_page_prints_the_answer(server: Server) -> None:
    client = next(example for example in examples() if "httpx.stream" in example).replace(USUAL, server.url)
    client = client.replace("params=", "trust_env=False, timeout=100, params=")  # a busy machine may take its time
    result = subprocess.run([sys.executable, "-c", client], capture_output=True, text=True, timeout=SECONDS)
    assert (result.returncode, result.stderr) == (0, "")
    assert "1095 rows" in result.stdout


def test_the_flags_of_the_page_are_those_of_the_command_with_their_defaults(sbi: Commands) -> None:
    told = sbi("serve", "--help").out.decode()
    rows = [line.split("|")[1:3] for line in PAGE.split("\n") if line.startswith("| `--")]
    assert len(rows) > 4
    for cells in rows:
        flags, defaults = (re.findall(r"`(.*?)`", cell) for cell in cells)
        assert all(flag in told for flag in flags)
        names = [flag.removeprefix("--").replace("-", "_") for flag in flags]
        assert not defaults or [f"{getattr(Settings(), name)}".removesuffix(".0") for name in names] == defaults


def test_the_fastapi_server_of_the_seed_streams_chat_and_gives_history(tmp_path: Path) -> None:
    """It displays what it streams, from whichever thread FastAPI takes the next chunk in."""
    [sample] = [example for example in examples() if "FastAPI" in example]
    (tmp_path / "server.py").write_text(sample)
    model = script(tmp_path, {"text": "I count.", "code": "for n in range(3): print(n)"}, {"text": "Done."})
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    uvicorn = [sys.executable, "-m", "uvicorn", "server:app", "--port", str(port), "--log-level", "warning"]
    environment = os.environ | {"SBI_MODEL": model, "SBI_AUTO_RUN": "true"}
    process = subprocess.Popen(uvicorn, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS, trust_env=False) as client:
            wait_for(client)
            with client.stream("GET", "/chat", params={"message": "Count."}) as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                found = [event.data for event in events(response.iter_lines())]
            history = client.get("/history").json()
    finally:
        process.terminate()
        out, err = process.communicate(timeout=SECONDS)
    assert "".join(str(chunk.get("content")) for chunk in found if chunk.get("format") == "output"
                   and "content" in chunk) == "0\n1\n2\n"
    assert [message["content"] for message in history] == [
        "Count.", "I count.", "for n in range(3): print(n)", "0\n1\n2\n", "Done."]
    assert "I count." in out.decode()
    assert err == b""


def wait_for(client: httpx.Client) -> None:
    for _ in range(300):
        try:
            client.get("/history")
        except httpx.ConnectError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server never answered")
