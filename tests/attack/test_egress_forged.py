"""Code that speaks in its agent's place, or wears the proxy out, harms its own session's connections alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import way_out
from sandbox_interpreter.sandbox.gate import Decision
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.attack.test_takeover import TAKE_OVER, wait_until_gone
from tests.support.runs import run
from tests.support.web import Web, web


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def decisions() -> list[Decision]:
    return []


@pytest.fixture
def open_box(engine: DockerEngine, server: Web, notices: list[str], decisions: list[Decision]) -> Iterator[Sandbox]:
    network = f"127.0.0.1:{server.server_port}"
    with Sandbox(engine=engine, policy=Policy(network=network, grace=0.5), notify=notices.append,
                 way_out=way_out.make(network, record=decisions.append)) as box:
        yield box


@pytest.mark.parametrize("attack", [
    "say(frame('egress_connect', id=-1, host='x', port=1))",
    "say(frame('egress_connect', id=1, host='x', port='80'))",
    "say(frame('egress_connect', id=1, host=['x'], port=80))",
    "say(frame('egress_connect', id=10**30, host='x', port=80))",
    "say(frame('egress_data', b'x' * 2**21, id=1))",
    "say(frame('egress_end', id=1))",
    "say(frame('egress_accept', id=1))",
], ids=lambda attack: attack[:60])
def test_forged_connections_end_the_session_they_come_from(engine: DockerEngine, open_box: Sandbox,
                                                           attack: str) -> None:
    ended = run(open_box, "python", f"{TAKE_OVER}\n{attack}\ntime.sleep(60)")
    assert "broke the protocol" in ended.failure.value
    assert wait_until_gone(engine, open_box)
    assert run(open_box, "python", "print('new')").stdout == "new\n"


def test_forged_connections_are_judged_like_all_others(open_box: Sandbox, server: Web,
                                                       decisions: list[Decision]) -> None:
    attack = f"""
for n in range(1000, 1050):
    say(frame('egress_connect', id=n, host='169.254.169.254', port=80))
    say(frame('egress_data', b'GET / HTTP/1.0\\r\\n\\r\\n', id=n + 10_000))
say(frame('egress_connect', id=2000, host='127.0.0.1', port={server.server_port}))
print('still here')
"""
    assert run(open_box, "python", TAKE_OVER + attack).stdout == "still here\n"
    give_up = time.monotonic() + 30
    while len(decisions) < 51 and time.monotonic() < give_up:
        time.sleep(0.02)
    assert [each.host for each in decisions if each.allowed] == ["127.0.0.1"]  # which is listed
    assert [each.host for each in decisions if not each.allowed] == ["169.254.169.254"] * 50
    assert server.seen == []


def test_without_a_list_asking_for_a_connection_ends_the_session(engine: DockerEngine, box: Sandbox) -> None:
    ended = run(box, "python", f"{TAKE_OVER}\nsay(frame('egress_connect', id=1, host='x', port=1))\ntime.sleep(60)")
    assert "which nothing allows" in ended.failure.value
    assert wait_until_gone(engine, box)


def test_thousands_of_connections_that_say_nothing_hold_up_no_cell(open_box: Sandbox, server: Web) -> None:
    code = """
import socket
held = []
for _ in range(3000):
    s = socket.socket(); s.setblocking(False)
    s.connect_ex(('127.0.0.1', 3128)); held.append(s)
print(len(held))
"""
    assert run(open_box, "python", code).stdout == "3000\n"
    assert run(open_box, "shell", "echo fine").stdout == "fine\n"
    told = run(open_box, "python", f"held.clear()\nimport urllib.request\n"
                                   f"print(len(urllib.request.urlopen('{server.url}/size/9').read()))")
    assert told.stdout == "9\n"


def test_a_head_that_never_ends_is_cut_off(open_box: Sandbox, server: Web) -> None:
    code = """
import socket
s = socket.create_connection(('127.0.0.1', 3128)); s.settimeout(20)
try:
    while True: s.sendall(b'X-Filler: ' + b'x' * 10000 + b'\\r\\n')
except OSError: pass
print('cut off')
"""
    assert run(open_box, "python", code).stdout == "cut off\n"
    assert run(open_box, "shell", f"curl -sS {server.url}/size/5 | wc -c").stdout.strip() == "5"


def test_killing_the_agent_ends_the_session_and_its_connections(engine: DockerEngine, open_box: Sandbox,
                                                                server: Web) -> None:
    run(open_box, "shell", f"curl -sS -o /dev/null {server.url}/size/900000000 & sleep 0.2")
    run(open_box, "python", "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)")
    assert wait_until_gone(engine, open_box)
    assert run(open_box, "shell", f"curl -sS {server.url}/size/5 | wc -c").stdout.strip() == "5"
