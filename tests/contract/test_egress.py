"""The way out of a real container: what programs reach through it, what they are told, and that nothing waits."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from sandbox_interpreter.catalogue import host
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import way_out
from sandbox_interpreter.sandbox.gate import Decision
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support import packages
from tests.support.runs import finish, run
from tests.support.web import Web, web


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture(scope="module")
def decisions() -> list[Decision]:
    return []


@pytest.fixture(scope="module")
def open_box(engine: DockerEngine, server: Web, decisions: list[Decision]) -> Iterator[Sandbox]:
    """Give a sandbox that may reach one server of this machine."""
    network = f"127.0.0.1:{server.server_port}"
    with Sandbox(engine=engine, policy=Policy(network=network, grace=30.0),  # interrupts are heeded
                 way_out=way_out.make(network, record=decisions.append)) as box:
        yield box


def said(box: Sandbox, code: str, language: str = "shell") -> str:
    return run(box, language, code).stdout.strip()


def test_curl_and_python_download_what_is_listed(open_box: Sandbox, server: Web) -> None:
    assert said(open_box, f"curl -sS {server.url}/size/1000000 | wc -c") == "1000000"
    assert said(open_box, f"curl -sSp {server.url}/size/1000000 | wc -c") == "1000000"  # through a tunnel
    code = f"import urllib.request; print(len(urllib.request.urlopen('{server.url}/size/70000').read()))"
    assert said(open_box, code, "python") == "70000"
    code = f"import requests; print(len(requests.get('{server.url}/size/12').content))"
    assert said(open_box, code, "python") == "12"


def test_uploads_arrive_whole(open_box: Sandbox, server: Web) -> None:
    sent = said(open_box, f"head -c 3000000 /dev/urandom >/tmp/up; curl -sS --data-binary @/tmp/up {server.url} | "
                          "cmp - /tmp/up && echo same; rm /tmp/up")
    assert sent == "same"


def test_a_refusal_names_the_rule_and_what_would_allow_it(open_box: Sandbox, decisions: list[Decision]) -> None:
    told = said(open_box, "curl -s -w ' %{http_code}' http://example.com/")
    assert "example.com:80 is not listed" in told
    assert "--network '127.0.0.1:" in told
    assert told.endswith(" 403")
    told = said(open_box, "import requests\ntry: requests.get('https://example.com/')\nexcept Exception as e: print(e)",
                "python")
    assert "403 Forbidden by the sandbox's setting network" in told
    assert "example.com:443 is not listed" in told
    assert Decision("example.com", 443, False, "is not listed") in decisions


def test_the_agents_proxy_answers_what_is_no_proxy_request(open_box: Sandbox) -> None:
    assert said(open_box, "curl -s --noproxy '*' -o /dev/null -w '%{http_code}' http://127.0.0.1:3128/") == "400"
    asked = said(open_box, "exec 5<>/dev/tcp/127.0.0.1/3128; printf 'rubbish\\r\\n\\r\\n' >&5; head -1 <&5")
    assert asked == "HTTP/1.1 400 Bad Request"


def test_half_of_a_connection_can_end_before_the_other(open_box: Sandbox, server: Web) -> None:
    code = f"""
import socket
s = socket.create_connection(('127.0.0.1', 3128))
s.sendall(b'CONNECT 127.0.0.1:{server.server_port} HTTP/1.1\\r\\n\\r\\n')
assert s.recv(100).startswith(b'HTTP/1.1 200'), 'refused'
s.sendall(b'GET /size/200000 HTTP/1.0\\r\\n\\r\\n')
s.shutdown(socket.SHUT_WR)
total = 0
while data := s.recv(65536):
    total += len(data)
print(total > 200000)
"""
    assert said(open_box, code, "python") == "True"


def test_twenty_downloads_and_a_cell_share(open_box: Sandbox, server: Web) -> None:
    said(open_box, "pids=; for i in $(seq 20); do "
                   f"curl -sS -o /dev/null -w '%{{size_download}}\\n' {server.url}/size/10000000 >/tmp/size-$i & "
                   "pids=\"$pids $!\"; done; sleep 0.1")
    assert said(open_box, "print(21 * 2)", "python") == "42"
    assert said(open_box, "for pid in $pids; do wait $pid || echo failed; done; cat /tmp/size-*; rm /tmp/size-*"
                ).split() == ["10000000"] * 20


def test_an_interrupt_lands_in_the_midst_of_a_download(open_box: Sandbox, server: Web) -> None:
    execution = open_box.execute("python", f"import requests\nn = 0\nwhile True:\n"
                                           f"    n += len(requests.get('{server.url}/size/50000000').content)\n"
                                           "    print(n, flush=True)")
    outputs = iter(execution)
    next(outputs)
    execution.interrupt()
    assert finish(execution).failure.name == "KeyboardInterrupt"
    assert said(open_box, "print(n > 0)", "python") == "True"


def test_a_reader_that_stops_holds_up_nobody_else(open_box: Sandbox, server: Web) -> None:
    said(open_box, f"curl -sS {server.url}/size/50000000 | (sleep 2; cat >/dev/null) & sleep 0.2")
    assert said(open_box, f"curl -sS {server.url}/size/5000000 | wc -c") == "5000000"


def test_more_connections_than_there_may_be_wait_for_their_turn(open_box: Sandbox, server: Web) -> None:
    code = f"""
import concurrent.futures, urllib.request
def get(_):
    return len(urllib.request.urlopen('{server.url}/size/3000').read())
with concurrent.futures.ThreadPoolExecutor(150) as pool:
    print(sum(pool.map(get, range(450))))
"""
    assert said(open_box, code, "python") == str(450 * 3000)


def test_there_is_no_interface_but_loopback_and_no_proxy_where_nothing_is_allowed(
        open_box: Sandbox, shared_box: Sandbox) -> None:
    assert said(open_box, "ls /sys/class/net") == "lo"
    assert said(shared_box, "env | grep -ic proxy; (exec 3<>/dev/tcp/127.0.0.1/3128) 2>&1 | tail -1").startswith("0\n")
    assert "refused" in said(shared_box, "(exec 3<>/dev/tcp/127.0.0.1/3128) 2>&1")


def test_the_users_own_variables_win(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(network="example.com"), env={"HTTPS_PROXY": "http://mine"}) as box:
        assert said(box, "echo $HTTPS_PROXY $https_proxy") == "http://mine http://127.0.0.1:3128"


def test_a_client_that_comes_back_finds_a_way_out_that_works(engine: DockerEngine, server: Web,
                                                             tmp_path: Path) -> None:
    policy = Policy(network=f"127.0.0.1:{server.server_port}", grace=0.5)
    (tmp_path / "work").mkdir()
    first = Sandbox(engine=engine, policy=policy, workspace=tmp_path / "work")
    said(first, f"curl -sS {server.url}/size/400000000 -o /dev/null & sleep 0.1")
    first.detach()
    with Sandbox(engine=engine, policy=policy, workspace=tmp_path / "work", session=first.session) as second:
        second.reattach()
        assert said(second, f"wait; curl -sS {server.url}/size/1000 | wc -c") == "1000"


def test_git_clones_over_http(open_box: Sandbox, server: Web, tmp_path: Path) -> None:
    script = """set -e; git init -q one; cd one; echo hello >file; git add file
        git -c user.name=a -c user.email=a@example.com commit -qm first; cd ..
        git clone -q --bare one served.git; cd served.git; git update-server-info"""
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, timeout=30)
    server.folder = tmp_path
    cloned = said(open_box, f"git clone -q {server.url}/files/served.git /tmp/clone && cat /tmp/clone/file; "
                            "rm -rf /tmp/clone")
    assert cloned == "hello"


def test_pip_installs_from_an_index_that_is_listed(engine: DockerEngine, server: Web, tmp_path: Path) -> None:
    """A wheel of our own, on an index of our own: what matters is that pip finds the proxy."""
    packages.offer_wheel(tmp_path / "simple")
    server.folder = tmp_path
    with Sandbox(engine=engine, policy=Policy(network=f"127.0.0.1:{server.server_port}"),
                 env={"PIP_INDEX_URL": f"{server.url}/files/simple"}) as box:
        assert said(box, packages.PIP_PRINTS) == "1"


def test_packages_reaches_what_the_images_own_pip_is_configured_to_use(
        engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "indexes", lambda _environ: {})  # whatever this machine is configured to use
    made = way_out.make("packages", image="python", engine=engine)
    asked = made.gate._packages
    index = run_probe(engine)
    assert asked.cover(*index)
    assert not asked.cover("example.com", 443)
    # Asked in the sandbox's own runtime, and in no weaker one: where that is none, nothing is known.
    elsewhere = way_out.make("packages", image="python", engine=engine, runtime="sbi-test-no-such-runtime")
    assert not elsewhere.gate._packages.cover(*index)


def run_probe(engine: DockerEngine) -> tuple[str, int]:
    """Return the host that pip in the image takes packages from, asked in another way than the product does."""
    code = ("from pip._internal.commands.download import DownloadCommand\n"
            "print(DownloadCommand('download', '').parser.get_default_values().index_url)")
    with Sandbox(engine=engine) as box:
        parts = urlsplit(said(box, code, "python"))
    return parts.hostname or "", parts.port or 443


def test_downloads_leave_no_thread_behind(engine: DockerEngine, server: Web) -> None:
    with Sandbox(engine=engine, policy=Policy(network=f"127.0.0.1:{server.server_port}")) as box:
        said(box, f"curl -sS {server.url}/size/1000 -o /dev/null")
    give_up = time.monotonic() + 5
    while any(thread.name == "sbi-dial" for thread in threading.enumerate()) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not any(thread.name == "sbi-dial" for thread in threading.enumerate())


def test_the_command_line_takes_a_list(server: Web) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("sbi"), "run", "--network", f"127.0.0.1:{server.server_port}",
         "-l", "shell", "-c", f"curl -sS {server.url}/size/10; echo; curl -s http://example.com/"],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("x" * 10 + "\n")
    assert "example.com:80 is not listed" in done.stdout
