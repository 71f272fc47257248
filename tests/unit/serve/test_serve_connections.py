"""Clients that stall, send garbage or are too many; and where the server listens."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from sandbox_interpreter.agent.frames import Frame
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.servers import server as servers
from tests.support.agents import agent, stream
from tests.support.http_server import SECONDS, Served, served


def flood(request: Frame) -> Iterator[bytes]:
    """Write without an end."""
    while True:
        yield stream(request, b"x" * 60_000)


def make() -> Interpreter:
    interpreter = Interpreter(model="demo", auto_run=True)
    interpreter.workbench.engine = ScriptedEngine(agent(execute_request=flood))
    return interpreter


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(servers, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(servers, "STALLED_SECONDS", 0.4)
    with served(make) as one:
        yield one


def connect(server: Served) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), SECONDS)


def rest(connection: socket.socket) -> bytes:
    """Return what still comes until the server hangs up."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


@pytest.mark.parametrize("sent", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: 127"])
def test_a_client_that_does_not_finish_its_request_is_hung_up_on(sent: bytes, server: Served) -> None:
    with connect(server) as connection:
        begun = time.monotonic()
        connection.sendall(sent)
        assert rest(connection) == b""
        assert 0.3 < time.monotonic() - begun < SECONDS


def test_dripping_bytes_do_not_help(server: Served) -> None:
    with connect(server) as connection:
        begun = time.monotonic()
        try:
            for byte in b"GET /health HTTP/1.1\r\nX: " + b"x" * 1000:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() - begun < 5


def test_the_second_request_of_a_connection_has_to_be_finished_too(server: Served) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            received = b""
            while not received.endswith(b'{"status":"ok"}'):
                received += connection.recv(65536)
            time.sleep(0.6)  # silence between requests is not counted
        connection.sendall(b"GET /hea")
        assert rest(connection) == b""


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n\r\nnonsense\r\n\r\n",
                                     b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                                     b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                                     b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e3\r\n\r\n"])
def test_garbage_is_answered_as_bad_and_the_server_goes_on(garbage: bytes, server: Served) -> None:
    with connect(server) as connection:
        connection.sendall(garbage)
        assert rest(connection).startswith(b"HTTP/1.1 400 ")
    with server.client() as client:
        assert client.get("/health").status_code == 200


def test_a_client_that_stops_reading_is_hung_up_on_and_its_run_ends(server: Served) -> None:
    body = b'{"code": "x", "stream": true}'
    with connect(server) as connection:
        connection.sendall(b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        with server.client() as client:
            for _ in range(200):
                [session] = client.get("/sessions").json()
                if not session["busy"]:
                    break
                time.sleep(0.05)
            assert not session["busy"]


def test_more_connections_than_there_is_room_for_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "MOST_CONNECTIONS", 3)
    with served(make) as server, connect(server), connect(server), server.client() as client:
        assert client.get("/health").status_code == 503


# --- where it listens ---


@pytest.mark.parametrize(("host", "local"), [("127.0.0.1", True), ("localhost", True), ("127.0.0.2", True),
                                             ("0.0.0.0", False)])
def test_whether_others_can_reach_it_is_told_from_the_bound_address(host: str, local: bool) -> None:
    with servers.listen(host, 0) as bound:
        assert servers.is_local(bound) is local
        assert int(servers.url_of(bound).rpartition(":")[2]) > 0


def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.fail("this Python knows no IPv6")
    with servers.listen("::1", 0) as bound:
        assert servers.is_local(bound)
        assert servers.url_of(bound).startswith("http://[::1]:")


def test_a_port_in_use_is_an_error_that_names_it() -> None:
    with servers.listen("127.0.0.1", 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(UsageError) as caught:
            servers.listen("127.0.0.1", port)
    assert str(caught.value) == f"Cannot listen on 127.0.0.1, port {port}: Address already in use."
    assert "--port 0" in caught.value.next_step


@pytest.mark.parametrize("host", ["no.such.host.invalid", "198.51.100.1", "x" * 300])
def test_an_address_that_is_not_ours_is_an_error_that_names_it(host: str) -> None:
    with pytest.raises(UsageError, match="Cannot listen on") as caught:
        servers.listen(host, 0)
    assert caught.value.next_step
