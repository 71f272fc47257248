"""Code that is allowed one server reaches no other: by no redirect, name, address form or tunnel."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import gate, way_out
from sandbox_interpreter.sandbox.gate import Decision, Gate
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run
from tests.support.web import Web, web


@pytest.fixture(scope="module")
def server() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture(scope="module")
def secret() -> Iterator[Web]:
    """Give a server of this machine that is not listed."""
    with web() as made:
        yield made


class Resolver:
    """Resolves names as a hostile name server does: differently each time."""

    def __init__(self) -> None:
        self.answers = {"inside.evil.test": ["127.0.0.1"], "metadata.evil.test": ["169.254.169.254"],
                        "mapped.evil.test": ["::ffff:10.0.0.1"], "nat64.evil.test": ["64:ff9b::a00:1"]}
        self.rebinds = ["127.0.0.2", "127.0.0.1"]

    def __call__(self, name: str, _port: int) -> list[str]:
        if name == "rebind.evil.test":
            return [self.rebinds.pop(0)]
        return self.answers[name]


@pytest.fixture(scope="module")
def decisions() -> list[Decision]:
    return []


@pytest.fixture(scope="module")
def box(engine: DockerEngine, server: Web, decisions: list[Decision]) -> Iterator[Sandbox]:
    network = f"127.0.0.1:{server.server_port},*.evil.test,127.0.0.2"
    plain = way_out.make(network)
    out = plain._replace(gate=Gate(network, record=decisions.append, resolve=Resolver()))
    with Sandbox(engine=engine, policy=Policy(network=network, grace=0.5), way_out=out) as made:
        yield made


def status(box: Sandbox, url: str, *options: str) -> str:
    """Return the HTTP status that curl ends with, or what a tunnel was answered."""
    command = "curl -sg -m 20 --noproxy '' -o /dev/null -w '%{http_code} %{http_connect}'"
    told = run(box, "shell", " ".join([command, *options, f"'{url}'"])).stdout
    return next(code for code in told.split()[::-1] if code != "000")


@pytest.mark.parametrize("target", ["169.254.169.254/latest/meta-data", "10.0.0.1/", "[::1]/", "[::ffff:127.0.0.1]/",
                                    "2130706433/", "example.com/"])
def test_a_redirect_leads_to_no_other_host(box: Sandbox, server: Web, target: str) -> None:
    assert status(box, f"{server.url}/to/http://{target}", "-L") in ("400", "403")


def test_a_redirect_to_another_port_of_a_listed_host_is_refused(box: Sandbox, server: Web, secret: Web) -> None:
    assert status(box, f"{server.url}/to/{secret.url}/size/1", "-L") == "403"
    assert secret.seen == []


@pytest.mark.parametrize("name", ["inside.evil.test", "metadata.evil.test", "mapped.evil.test", "nat64.evil.test"])
def test_a_listed_name_that_leads_inside_is_refused(box: Sandbox, secret: Web, name: str) -> None:
    assert status(box, f"http://{name}:{secret.server_port}/size/1") == "403"
    assert status(box, f"https://{name}:{secret.server_port}/size/1") == "403"
    assert secret.seen == []


def test_rebinding_a_name_between_the_check_and_the_use_reaches_nothing(box: Sandbox, secret: Web) -> None:
    # First it leads to an address that may be dialled, where nothing listens; then to the one that may not.
    url = f"http://rebind.evil.test:{secret.server_port}/size/1"
    assert status(box, url) == "502"
    assert status(box, url) == "403"
    assert secret.seen == []


@pytest.mark.parametrize("host", ["0", "0.0.0.0", "127.1", "0x7f.0.0.1", "[::]", "[::ffff:7f00:1]", "localhost",
                                  "127.0.0.1.", "[64:ff9b::7f00:1]"])
def test_no_spelling_of_the_loopback_reaches_another_server(box: Sandbox, secret: Web, host: str) -> None:
    assert status(box, f"http://{host}:{secret.server_port}/size/1") in ("400", "403")
    assert secret.seen == []


def test_a_second_request_in_a_connection_reaches_the_same_server_only(box: Sandbox, server: Web, secret: Web) -> None:
    port = server.server_port
    code = f"""
import socket
s = socket.create_connection(('127.0.0.1', 3128))
other = b'GET http://127.0.0.1:{secret.server_port}/size/1 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'
s.sendall(b'GET http://127.0.0.1:{port}/size/1 HTTP/1.1\\r\\nHost: x\\r\\nConnection: keep-alive\\r\\n\\r\\n' + other)
while s.recv(65536): pass
"""
    run(box, "python", code)
    assert secret.seen == []
    assert server.seen[-1].startswith(f"127.0.0.1:{port}/size/1")


def test_a_tunnel_carries_any_protocol_to_the_granted_address_only(
        engine: DockerEngine, secret: Web) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        heard: list[bytes] = []

        def serve() -> None:
            with listener.accept()[0] as peer:
                heard.append(peer.recv(1000))

        thread = threading.Thread(target=serve)
        thread.start()
        code = f"""
import socket
s = socket.create_connection(('127.0.0.1', 3128))
s.sendall(b'CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\nHost: 127.0.0.1:{secret.server_port}\\r\\n\\r\\n')
assert b' 200 ' in s.recv(1000), 'refused'
s.sendall(b'CONNECT 127.0.0.1:{secret.server_port} HTTP/1.1\\r\\n\\r\\nSSH-2.0-x')
"""
        with Sandbox(engine=engine, policy=Policy(network=f"127.0.0.1:{port}")) as box:
            run(box, "python", code)
        thread.join(10)
    assert heard[0].startswith(b"CONNECT")  # it stands behind no second proxy: the bytes are the server's to read
    assert secret.seen == []


def test_there_is_no_other_way_than_the_proxy(box: Sandbox) -> None:
    code = """
import socket
for family, address in ((socket.AF_INET, '1.1.1.1'), (socket.AF_INET6, '2606:4700::1111')):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        s = socket.socket(family, kind); s.settimeout(2)
        try:
            s.connect((address, 53)); s.send(b'x'); print('out')
        except OSError: pass
try: socket.getaddrinfo('example.com', 80); print('resolved')
except OSError: pass
"""
    assert run(box, "python", code).stdout == ""


def test_hostile_host_names_stand_escaped_in_the_log(box: Sandbox, decisions: list[Decision]) -> None:
    run(box, "python", r"""
import socket
s = socket.create_connection(('127.0.0.1', 3128))
s.sendall(b'CONNECT evil\x1b]52;c;aGk=\x07\xff\r.test:80 HTTP/1.1\r\n\r\n')
s.recv(999)
""")
    assert decisions[-1].host.isprintable()
    assert decisions[-1].host.isascii()
    assert not decisions[-1].allowed


def test_what_is_judged_is_what_is_dialled() -> None:
    """The socket gets a number, never a name that the system would resolve once more."""
    assert "getaddrinfo" not in gate._connected.__code__.co_names
    assert "create_connection" not in gate._connected.__code__.co_names
