"""sbi serve as a process: its sessions, its end, and what it refuses to start with."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import httpx
import pexpect
import pytest

from tests.support.http_process import FOREVER, run, serving
from tests.support.http_server import ALICE, BOB, events
from tests.support.sbi_process import SBI, SECONDS, Commands

# --- sessions ---


def test_an_idle_session_and_its_container_are_closed(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo", "--idle", "1") as server, server.client() as client:
        run(client, "1")
        assert len(sbi.containers()) == 1
        deadline = time.monotonic() + 20
        while sbi.containers() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert sbi.containers() == []
        assert client.get("/sessions").json() == []
        assert run(client, "6 * 7")["stdout"] == "42\n"


def test_a_closed_session_takes_its_container_along(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo") as server, server.client() as client:
        run(client, "x = 1")
        [session] = client.get("/sessions").json()
        assert client.delete(f"/sessions/{session['id']}").status_code == 204
        assert sbi.containers() == []
        assert "NameError" in run(client, "x")["stderr"]


# --- its end ---


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)])
def test_being_told_to_end_breaks_off_runs_and_leaves_nothing(number: int, code: int, sbi: Commands) -> None:
    with serving(sbi, "-m", "demo") as server, server.client() as client, \
            client.stream("POST", "/run", json={"code": FOREVER, "stream": True}) as response:
        found = events(response.iter_lines())
        next(event for event in found if event.data.get("content") == "3\n")
        assert len(sbi.containers()) == 1
        begun = time.monotonic()
        server.process.send_signal(number)
        last = list(found)[-1]
        assert (last.name, last.data["error"]["type"]) == ("error", "ending")
        assert server.stop(0) == code
        assert time.monotonic() - begun < 10


def test_two_quick_ctrl_cs_leave_nothing_either(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo") as server, server.client() as client:
        run(client, "1")
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        assert server.stop(signal.SIGINT) == 130


def test_killed_it_leaves_no_container_beyond_the_idle_time(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo", "--idle", "3") as server, server.client() as client:
        run(client, "1")
        assert len(sbi.containers()) == 1
        server.stop(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while sbi.containers() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert sbi.containers() == []


# --- what it refuses to start with ---


def test_a_port_in_use_is_told(sbi: Commands) -> None:
    with serving(sbi, "-m", "demo") as server:
        port = server.url.rpartition(":")[2]
        ended = sbi("serve", "--port", port)
        assert ended.code == 2
        assert f"Cannot listen on 127.0.0.1, port {port}: Address already in use." in ended.said


@pytest.mark.parametrize(("flags", "code", "said"), [
    (["--host", "0.0.0.0"], 2, "Serving on 0.0.0.0 needs a token, and none is set.\nSet SBI_TOKEN"),
    (["--port", "70000"], 2, "--port: 70000 is too much; the most is 65535"),
    (["--max-sessions", "0"], 2, "--max-sessions: 0 is too small"),
    (["--token-file", "nowhere"], 2, "The token file nowhere cannot be read"),
    (["--out", "x"], 2, "A server copies nothing out"),
    (["--engine", "tcp://127.0.0.1:9"], 125, "127.0.0.1:9"),
    (["--image", "no-such-image"], 125, "no-such-image"),
    (["-m", "scripted:nowhere.yaml"], 125, "nowhere.yaml"),
    (["--secret", "NOT_SET"], 2, "--secret NOT_SET: there is no such variable"),
])
def test_what_cannot_be_is_told_before_anything_starts(flags: list[str], code: int, said: str, sbi: Commands) -> None:
    ended = sbi("serve", "--port", "0", *flags)
    assert (ended.code, ended.out) == (code, b"")
    assert said in ended.said
    assert "Traceback" not in ended.said
    assert "Serving" not in ended.said.replace("Serving on 0.0.0.0 needs", "")


def test_a_workspace_is_not_shared_by_clients_who_could_write_to_it(sbi: Commands, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(f"alice {ALICE}\nbob {BOB}\n")
    (tmp_path / "tokens").chmod(0o644)
    work = tmp_path / "work"
    work.mkdir()
    (work / "data").write_text("shared")
    flags = ["-m", "demo", "--token-file", str(tmp_path / "tokens"), "-w"]
    ended = sbi("serve", "--port", "0", *flags, str(work))
    assert ended.code == 2
    assert "2 clients would share the workspace" in ended.said
    with serving(sbi, *flags, f"{work}:ro") as server, server.client(ALICE) as alice, server.client(BOB) as bob:
        for client in (alice, bob):
            assert run(client, "open('data').read()")["stdout"] == "'shared'\n"
            assert run(client, "open('new', 'w')")["exit_code"] == 1
        assert any("chmod 600" in line for line in server.said)  # others may read the token file


def test_to_a_person_a_token_is_made_and_shown_once(sbi: Commands) -> None:
    child = pexpect.spawn(SBI, ["serve", "--host", "0.0.0.0", "--port", "0", "-m", "demo"], cwd=str(sbi.folder),
                          timeout=SECONDS, encoding="utf-8", env=os.environ | {"TMPDIR": str(sbi.temporary)},
                          dimensions=(24, 200))
    assert child.pid is not None
    sbi.pids.append(child.pid)
    child.expect("shown only now: ")
    token = child.readline().strip()
    child.expect("Serving on http://0.0.0.0:")
    url = f"http://127.0.0.1:{child.readline().split()[0]}/history"
    assert httpx.get(url, trust_env=False).status_code == 401
    assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}, trust_env=False).json() == []
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130


def test_without_the_extra_the_error_says_how_to_install_it(sbi: Commands) -> None:
    code = ("import sys; sys.modules['uvicorn'] = None; sys.argv = ['sbi', 'serve']\n"
            "from sandbox_interpreter.cli.main import main; main()")
    ended = subprocess.run([str(Path(SBI).with_name("python")), "-c", code], capture_output=True, text=True,
                           timeout=SECONDS)
    assert ended.returncode == 2
    assert ended.stderr == ("sbi serve needs packages that are not installed: uvicorn.\n"
                            "Install them: pip install 'sandbox-interpreter[serve]'\n")
