"""Code that takes over its agent ends its own session, and nothing more; the next run gets a new container."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox import deadline
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import finish, run

# Opens what the agent speaks through by the first process, which holds the same: its own descriptors have numbers of
# their own, and engines name what is behind them each in their way. Where it cannot be opened, nothing is forged, and
# the run fails.
TAKE_OVER = """
import json, os, signal, struct, time
agent = os.getppid()
ends = [os.open(f'/proc/1/fd/{number}', os.O_WRONLY) for number in (2, 1)]
def frame(kind, payload=b'', **header):
    head = json.dumps({'type': kind, **header}).encode()
    return struct.pack('!4sII', b'sbi\\x01', len(head), len(payload)) + head + payload + b'\\xffend'
def say(data):
    for end in ends:
        os.write(end, data)
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long for an agent that is late."""
    monkeypatch.setattr(deadline, "OVERTIME_SECONDS", 0.5)


def containers(engine: DockerEngine, box: Sandbox) -> list[str]:
    return [each.state for each in engine.list({f"{LABEL}.session": box.session}) if each.state == "running"]


def wait_until_gone(engine: DockerEngine, box: Sandbox, seconds: float = 3) -> bool:
    give_up = time.monotonic() + seconds
    while containers(engine, box) and time.monotonic() < give_up:
        time.sleep(0.02)
    return not containers(engine, box)


@pytest.mark.parametrize("attack", [
    "say(b'garbage' * 100)",
    "say(frame('ready', protocol=1, python='', languages=[]))",
    "say(frame('sync_reply', requests=[1, 2, 3], last=9))",
    "say(frame('no such type'))",
    "say(frame('status', id=1, exit_code=True, limit=None, duration_ms=0, interrupted=False))",
    "say(frame('display_data', b'x', id=2, parts={'image/png': 2**40}, result=False))",
    "say(b'sbi\\x01' + b'\\xff' * 8)",
    "say(frame('status', id=2**70, exit_code=0, limit=None, duration_ms=0, interrupted=False))",
    "say(frame('stream', b'x', id='2', name='stdout'))",
    "head = b'[' * 60_000; say(struct.pack('!4sII', b'sbi\\x01', len(head), 0) + head + b'\\xffend')",
    "say(frame('display_data', id=2, parts={'a/b': [[[1]]]}, result=False))",
    "say(frame('credit', id=2, bytes=2**60))",
    "say(frame('egress_connect', id=1, host='169.254.169.254', port=80))",
    "say(frame('status', id=2, exit_code=0, limit=None, duration_ms=float('nan'), interrupted=False))",
    "[say(frame('stream', bytes(60_000), id=2, name='stdout')) for _ in range(300)]",
    "[say(frame('display_data', bytes(60_000), id=2, parts={}, result=False, more=True)) for _ in range(2000)]",
    "[say(frame('active_line', id=2, line=1)) for _ in range(100_000)]",
], ids=["garbage", "ready", "sync", "type", "bool", "parts", "lengths", "number", "kind", "deep",
        "nested", "credit", "connect", "no-number", "stream-flood", "display-flood", "line-flood"])
def test_forged_frames_end_the_session_and_a_next_run_works(box: Sandbox, engine: DockerEngine, notices: list[str],
                                                            attack: str) -> None:
    run(box, "shell", "echo kept > file")
    old = box.container_id
    execution = box.execute("python", f"{TAKE_OVER}\nprint('begun', flush=True)\ntime.sleep(0.1)\n{attack}\n"
                                      "time.sleep(90)", timeout=80)
    output = next(iter(execution))
    assert getattr(output, "data", b"") == b"begun\n"  # the attack is one
    if "range" in attack:  # a reader that takes nothing must not have to hold it all
        assert box._instance is not None
        assert box._instance.channel.ended.wait(60)
    done = finish(execution)
    assert (done.result.exit_code, done.failure.name) == (137, "SandboxEnded")
    assert run(box, "shell", "cat file").stdout == "kept\n"
    assert box.container_id != old
    assert old not in [each.id for each in engine.list({f"{LABEL}.session": box.session}) if each.state == "running"]
    assert any("variables are gone" in notice for notice in notices)


def test_frames_of_runs_that_are_none_and_credit_that_is_too_much_change_nothing(box: Sandbox) -> None:
    forged = "; ".join([
        "say(frame('stream', b'from nowhere', id=999, name='stdout'))", "say(frame('credit', id=1, bytes=2**53))",
        "say(frame('credit', id=1, bytes=-2**53))", "say(frame('file_names', b'../../etc/passwd', id=777))",
        "say(frame('active_line', id=1, line=-5))", "say(frame('stream', b'as an error', id=1, name='no such stream'))",
        "say(frame('pong')); say(frame('pong'))"])
    done = run(box, "python", f"{TAKE_OVER}\n{forged}\nprint('real')")
    assert done.stdout.endswith("real\n")
    assert "nowhere" not in done.stdout + done.stderr
    assert run(box, "python", "6 * 7").values == ["42"]


ORPHAN = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for descriptor in range(3):
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
        {action}
    os._exit(0)
os.wait()
"""

# Stops the agent and answers in its place, whatever the host asks for: each listing with the next of NAMES.
IMPOSTOR = """
        time.sleep(0.5)
        os.kill(agent, signal.SIGSTOP)
        heard = open('/proc/1/fd/0', 'rb')
        names = iter(NAMES)
        while True:
            _, head, payload = struct.unpack('!4sII', heard.read(12))
            asked = json.loads(heard.read(head))
            heard.read(payload + 4)
            if asked['type'] == 'ping': say(frame('pong'))
            if asked['type'] == 'file_list': say(frame('file_names', next(names), id=asked['id']))
            if asked['type'] == 'file_get': say(frame('file_data', b'evil', id=asked['id']))
            if asked['type'] == 'file_get': say(frame('file_done', id=asked['id'], error=None))
"""
NOWHERE = ["../escaped", "/escaped", "folder/../../escaped", "..", "folder/..", "./escaped", "folder//escaped"]


def test_names_that_an_impostor_of_the_agent_offers_lead_nowhere(box: Sandbox, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = [b"plain", *(name.encode() for name in NOWHERE), b"last"]
    action = IMPOSTOR.replace("NAMES", repr(names)).strip()
    assert run(box, "python", TAKE_OVER + ORPHAN.replace("{action}", action)).result.exit_code == 0
    give_up = time.monotonic() + 30
    while not box.download("plain", out) and time.monotonic() < give_up:
        time.sleep(0.1)  # the agent still answers itself
    for _ in NOWHERE:
        with pytest.raises(TransferError, match="not a plain relative path"):
            box.download("**", out)
    box.download("last", out)
    # The impostor was believed where it may be, and nowhere else.
    assert {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()
            } == {"out/plain": "evil", "out/last": "evil"}


def test_a_forged_end_deceives_about_its_own_run_only(box: Sandbox) -> None:
    forged = "say(frame('status', id=1, exit_code=-2**50, limit='root', duration_ms=-1, interrupted=False))"
    done = run(box, "python", f"{TAKE_OVER}\n{forged}\ntime.sleep(60)")
    assert (done.result.exit_code, done.result.limit, done.result.duration_ms) == (0, None, 0.0)
    assert run(box, "shell", "echo fine").stdout == "fine\n"


def test_a_killed_agent_costs_the_run_that_killed_it(box: Sandbox, engine: DockerEngine) -> None:
    done = run(box, "python", f"{TAKE_OVER}\nos.kill(agent, signal.SIGKILL)\ntime.sleep(30)")
    assert (done.result.exit_code, done.failure.name) == (137, "SandboxEnded")
    assert "container has ended" in done.failure.value
    assert run(box, "python", "1").values == ["1"]


@pytest.mark.usefixtures("quick")
def test_a_stopped_agent_does_not_outlast_the_time_limit(box: Sandbox) -> None:
    box.start()
    # Long enough for the attack to be under way on a busy machine.
    done = run(box, "python", f"{TAKE_OVER}\nos.kill(agent, signal.SIGSTOP)\ntime.sleep(90)", timeout=5)
    assert (done.result.exit_code, done.result.limit) == (124, "time")
    assert "did not stop" in done.failure.value
    assert run(box, "python", "1").values == ["1"]


@pytest.mark.usefixtures("quick")
def test_a_stopped_agent_does_not_outlast_an_interrupt(box: Sandbox) -> None:
    execution = box.execute("python", f"{TAKE_OVER}\nprint('begun', flush=True)\ntime.sleep(0.2)\n"
                                      "os.kill(agent, signal.SIGSTOP)\ntime.sleep(90)")
    next(iter(execution))
    threading.Timer(1.0, execution.interrupt).start()
    done = finish(execution)
    assert (done.result.exit_code, done.result.interrupted) == (137, True)
    assert run(box, "python", "1").values == ["1"]


def test_init_cannot_be_killed_or_stopped_by_code(box: Sandbox) -> None:
    code = ("import os, signal\nfor number in (signal.SIGKILL, signal.SIGSTOP):\n"
            "    try: os.kill(1, number)\n    except PermissionError: pass\nprint('still here')")
    assert run(box, "python", code).stdout == "still here\n"
    assert run(box, "python", "1").values == ["1"]


@pytest.mark.parametrize("wait", [True, False], ids=["wait", "no-wait"])
@pytest.mark.parametrize("breaks", [False, True], ids=["stopped", "stopped-behind-a-broken-stream"])
def test_an_agent_that_cannot_leave_is_removed_at_close(engine: DockerEngine, breaks: bool, wait: bool) -> None:
    box = Sandbox(engine=engine, policy=Policy(grace=0.2), notify=lambda _: None)
    action = f"time.sleep(0.2); say(b'garbage' * {9 * breaks}); os.kill(agent, signal.SIGSTOP); time.sleep(600)"
    assert run(box, "python", TAKE_OVER + ORPHAN.replace("{action}", action)).result.exit_code == 0
    time.sleep(0.5)
    assert box._instance is not None
    assert (box._instance.channel.error is not None) is breaks
    began = time.monotonic()
    box.close(wait=wait)
    assert wait_until_gone(engine, box)
    assert time.monotonic() - began < 20


@pytest.fixture
def short_lived(engine: DockerEngine) -> Iterator[Sandbox]:
    with Sandbox(engine=engine, policy=Policy(idle=1, grace=0.2)) as sandbox:
        yield sandbox


def test_a_forged_heartbeat_does_not_keep_an_abandoned_sandbox_alive(short_lived: Sandbox,
                                                                     engine: DockerEngine) -> None:
    # The agent hears its host on stdin; whoever writes to its stdout, or floods it with output, is not its host.
    forger = "\n        ".join(["while True:", "    time.sleep(0.05)", "    say(frame('pong'))"])
    assert run(short_lived, "python", TAKE_OVER + ORPHAN.replace("{action}", forger)).result.exit_code == 0
    short_lived.detach()
    assert wait_until_gone(engine, short_lived, seconds=5)
