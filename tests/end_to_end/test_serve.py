"""sbi serve as a process, with real sandboxes: chats, runs, clients that share nothing, clients that leave."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox_interpreter.messages import fold
from tests.support.http_process import FOREVER, run, script, serving
from tests.support.http_server import ALICE, BOB, chunks, events, stream_of
from tests.support.openai_server import OpenAIServer, call, say
from tests.support.sbi_process import SECONDS, Commands

# --- what it does ---


def test_the_demo_runs_over_http_and_its_picture_comes_along(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo", "--auto-run") as server, server.client() as client:
        found = stream_of(client, "GET", "/chat", params={"message": "analyse the demo data"})
        messages = fold(chunks(found))
        assert found[-1].name == "end"
        assert any("1095 rows" in message["content"] for message in messages)
        [picture] = [message for message in messages if message["type"] == "image"]
        assert base64.b64decode(picture["content"]).startswith(b"\x89PNG")
        assert client.get("/history").json()[1:] == messages
        listed = run(client, "ls *.csv *.png", language="shell")
        assert listed["stdout"] == "rainfall.csv\nrainfall.png\n"


def test_curl_reads_the_stream_as_it_comes(sbi: Commands, tmp_path: Path) -> None:
    model = script(tmp_path, {"code": "import time\nprint('first')\ntime.sleep(1)\nprint('second')"}, {"text": "Done."})
    with serving(sbi, "-m", model, "-y") as server:
        with server.client() as client:
            run(client, "1")  # so that the sandbox's start is not what is measured
        curl = subprocess.Popen(["curl", "-sN", "--noproxy", "*", "--get", "--data-urlencode", "message=Go, é & ü.",
                                 f"{server.url}/chat"], stdout=subprocess.PIPE, text=True)
        assert curl.stdout is not None
        times: dict[str, float] = {}

        def lines() -> Iterator[str]:
            for line in curl.stdout or ():
                for word in ("first\\n", "second\\n"):
                    if f'"content":"{word}"' in line:
                        times[word] = time.monotonic()
                yield line.rstrip("\n")

        found = list(events(lines()))
        assert curl.wait(SECONDS) == 0
        curl.stdout.close()
        with server.client() as client:
            assert client.get("/history").json()[0]["content"] == "Go, é & ü."
    assert found[-1].name == "end"
    assert 0.8 < times["second\\n"] - times["first\\n"] < 5


def test_a_real_models_client_answers_over_http(sbi: Commands) -> None:
    with OpenAIServer(call("python", "10+12", text="I add."), say("22.")) as model:
        env = {"SBI_API_BASE": model.url, "SBI_API_KEY": "key-of-a-test", "SBI_SUPPORTS_FUNCTIONS": "true"}
        with serving(sbi, "-m", "openai/scripted", "-y", env=env) as server, server.client() as client:
            messages = fold(chunks(stream_of(client, "GET", "/chat", params={"message": "10+12?"})))
    assert [message["content"] for message in messages] == ["I add.", "10+12", "22\n", "22."]


def test_without_auto_run_nothing_runs(sbi: Commands, tmp_path: Path) -> None:
    model = script(tmp_path, {"code": "print(1)"}, {"text": "Done."})
    with serving(sbi, "-m", model) as server, server.client() as client:
        messages = fold(chunks(stream_of(client, "GET", "/chat", params={"message": "Go."})))
        assert "not run" in next(message["content"] for message in messages if message["type"] == "console")
        assert sbi.containers() == []
        assert any("--auto-run" in line for line in server.said)


def test_run_tells_streams_codes_limits_and_pictures(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo") as server, server.client() as client:
        result = run(client, "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7")
        assert (result["stdout"], result["stderr"], result["exit_code"]) == ("out\n42\n", "err\n", 0)
        result = run(client, "1/0")
        assert result["exit_code"] == 1
        assert "ZeroDivisionError" in result["stderr"]
        result = run(client, "exit 7", language="shell")
        assert result["exit_code"] == 7
        result = run(client, "import time; time.sleep(60)", timeout=0.5)
        assert (result["exit_code"], result["limit"]) == (124, "time")
        result = run(client, "import matplotlib.pyplot as plt; plt.plot([1]); plt.show()")
        [picture] = result["images"]
        assert (picture["type"], picture["format"]) == ("image", "base64.png")
        assert base64.b64decode(picture["content"]).startswith(b"\x89PNG")
        assert run(client, "x = 5\nopen('kept', 'w').write('here')")["exit_code"] == 0
        assert run(client, "print(x, open('kept').read())")["stdout"] == "5 here\n"


def test_the_servers_time_limit_binds_its_clients(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo", "--timeout", "1") as server, server.client() as client:
        assert run(client, "import time; time.sleep(60)", timeout=0)["limit"] == "time"
        assert run(client, "import time; time.sleep(60)", timeout=50)["limit"] == "time"


def test_two_clients_share_nothing(sbi: Commands, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"alice {ALICE}\nbob {BOB}\n")
    (tmp_path / "tokens").chmod(0o600)
    with serving(sbi, "-m", "demo", "--token-file", str(tmp_path / "tokens")) as server, \
            server.client(ALICE) as alice, server.client(BOB) as bob, server.client() as stranger:
        run(alice, "secret = 1; open('mine', 'w').write('x')")
        assert "NameError" in run(bob, "secret")["stderr"]
        assert run(bob, "import os; os.listdir()")["stdout"] == "[]\n"
        assert len(sbi.containers()) == 2
        assert stranger.get("/history").status_code == 401
        assert stranger.get("/health").status_code == 200
        assert ALICE not in Path(f"/proc/{server.process.pid}/cmdline").read_text()


def test_a_token_may_come_from_the_environment_and_is_in_nobodys_sandbox(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo", env={"SBI_TOKEN": ALICE}) as server, server.client(ALICE) as client:
        seen = run(client, "env; cat /proc/*/environ 2>/dev/null", language="sh")["stdout"]
        assert "PATH=" in seen
        assert ALICE not in seen
        assert httpx.get(f"{server.url}/history", trust_env=False).status_code == 401


def test_it_listens_on_this_machine_alone_unless_told_otherwise(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo") as server:
        assert server.url.startswith("http://127.0.0.1:")


# --- clients that leave ---


@pytest.mark.parametrize("how", ["chat", "run", "json"])
def test_a_client_that_leaves_stops_its_code_in_the_sandbox(how: str, sbi: Commands, tmp_path: Path) -> None:
    model = script(tmp_path, {"code": FOREVER}, {"text": "Done."})
    with serving(sbi, "-m", model, "-y") as server, server.client() as client:
        run(client, "1")
        if how == "json":
            with pytest.raises(httpx.ReadTimeout):
                client.post("/run", json={"code": FOREVER}, timeout=1)
        else:
            asked = {"method": "GET", "url": "/chat", "params": {"message": "Go."}} if how == "chat" else {
                "method": "POST", "url": "/run", "json": {"code": FOREVER, "stream": True}}
            with client.stream(**asked) as response:  # type: ignore[arg-type]  # one of two shapes
                next(event for event in events(response.iter_lines()) if event.data.get("content") == "3\n")
        first = run(client, "print(n)")["stdout"]  # it waits until the other run has ended
        time.sleep(0.5)
        assert run(client, "print(n)")["stdout"] == first
        assert int(first) >= 3


def test_a_killed_client_is_noticed_though_the_code_says_nothing(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo") as server, server.client() as client:
        run(client, "1")
        curl = subprocess.Popen(["curl", "-sN", "--noproxy", "*", "-H", "content-type: application/json", "-d",
                                 '{"code": "import time; time.sleep(600)", "stream": true}', f"{server.url}/run"],
                                stdout=subprocess.PIPE)
        assert curl.stdout is not None
        curl.stdout.read(30)
        assert client.get("/sessions").json()[0]["busy"]
        curl.kill()
        curl.wait(SECONDS)
        curl.stdout.close()
        assert run(client, "6 * 7")["stdout"] == "42\n"


def test_code_that_ignores_being_stopped_is_killed_when_its_client_has_left(sbi: Commands) -> None:
    stubborn = "import time\nprint('up', flush=True)\nwhile True:\n  try: time.sleep(9)\n  except BaseException: 0"
    with serving(sbi, "-m", "demo") as server, server.client() as client:
        with client.stream("POST", "/run", json={"code": stubborn, "stream": True}) as response:
            next(event for event in events(response.iter_lines()) if event.data.get("content") == "up\n")
        assert run(client, "6 * 7")["stdout"] == "42\n"
