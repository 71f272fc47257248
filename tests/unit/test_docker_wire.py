"""The engine's two-in-one stream comes apart right, however reads cut it."""

from __future__ import annotations

import contextlib
import io
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.engines import sockets
from sandbox_interpreter.engines.docker_wire import KEPT_STDERR, STDERR, STDOUT, DockerWire
from sandbox_interpreter.errors import ChannelError
from tests.support import authority


def part(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


class Pair:
    """A wire, and the engine's end of its socket."""

    def __init__(self, attached: Any = None) -> None:
        host, self.engine = socket.socketpair()
        self.wire = DockerWire(attached(host) if attached else host)

    def close(self) -> None:
        self.wire.close()
        self.engine.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


PARTS = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR, 0]), st.binary(max_size=60)), max_size=8)


@given(PARTS, st.data())
def test_any_split_of_reads_gives_the_same_stdout(parts: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = b"".join(part(stream, body) for stream, body in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    pair = Pair()
    got = b""
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        pair.engine.sendall(whole[start:end])
        got += pair.wire.receive() or b""
    assert got == b"".join(body for stream, body in parts if stream == STDOUT)
    assert pair.wire._errors == b"".join(body for stream, body in parts if stream != STDOUT)[-KEPT_STDERR:]
    pair.close()


def test_a_header_split_between_reads_is_put_together(pair: Pair) -> None:
    for byte in part(STDERR, b"no") + part(STDOUT, b"yes"):
        pair.engine.sendall(bytes([byte]))
        if (data := pair.wire.receive()) != b"":
            assert data in (b"y", b"e", b"s")
    assert pair.wire.diagnostics() == "no"


def test_empty_parts_are_nothing(pair: Pair) -> None:
    pair.engine.sendall(part(STDOUT, b"") * 3 + part(STDERR, b"") + part(STDOUT, b"x"))
    assert pair.wire.receive() == b"x"


def test_nothing_yet_is_empty_and_the_end_is_none(pair: Pair) -> None:
    assert pair.wire.receive() == b""
    pair.engine.sendall(part(STDOUT, b"last"))
    pair.engine.close()
    assert pair.wire.receive() == b"last"
    assert pair.wire.receive() is None


def test_stderr_without_end_takes_no_memory(pair: Pair) -> None:
    for _ in range(200):
        pair.engine.sendall(part(STDERR, bytes(10_000)))
        assert pair.wire.receive() == b""
    assert len(pair.wire._errors) == KEPT_STDERR


def test_stderr_that_is_no_text_is_shown_as_far_as_it_goes(pair: Pair) -> None:
    pair.engine.sendall(part(STDERR, b"  sh: \xff\xfe not found\n"))
    pair.wire.receive()
    assert pair.wire.diagnostics() == "sh: \ufffd\ufffd not found"


def test_what_the_http_reader_took_in_already_comes_first() -> None:
    early = part(STDOUT, b"early")[:9]

    def attached(host: socket.socket) -> SimpleNamespace:
        reader = SimpleNamespace(fp=io.BufferedReader(io.BytesIO(early)))
        response = SimpleNamespace(raw=SimpleNamespace(_fp=reader), close=lambda: None)
        return SimpleNamespace(_sock=host, _response=response, close=lambda: None)

    pair = Pair(attached)
    pair.engine.sendall(part(STDOUT, b"early")[9:])
    assert [pair.wire.receive(), pair.wire.receive()] == [b"e", b"arly"]
    pair.close()


def test_a_closed_wire_holds_nothing_else_of_its_client() -> None:
    """The response knows the pool of the client's connections, which are closed once nobody has it any more."""
    attached: list[SimpleNamespace] = []

    def attach(host: socket.socket) -> SimpleNamespace:
        response = SimpleNamespace(raw=None, close=lambda: None)
        attached.append(SimpleNamespace(_sock=host, _response=response, close=lambda: None))
        return attached[0]

    pair = Pair(attach)
    pair.close()
    pair.close()
    assert not hasattr(attached[0], "_response")


def test_all_is_sent_to_a_reader_that_takes_its_time(pair: Pair) -> None:
    got: list[bytes] = []

    def read() -> None:
        while sum(map(len, got)) < 3_000_000:
            time.sleep(0.0005)
            got.append(pair.engine.recv(100_000))

    reader = threading.Thread(target=read)
    reader.start()
    data = os.urandom(3_000_000)
    pair.wire.send(data)
    reader.join(10)
    assert b"".join(got) == data


def test_a_reader_that_never_reads_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "SEND_SECONDS", 0.05)
    with pytest.raises(ChannelError, match="has not read"):
        pair.wire.send(bytes(10_000_000))


def test_a_send_to_a_container_that_is_gone_says_so(pair: Pair) -> None:
    pair.engine.close()
    with pytest.raises(sockets.HungUp, match="broke"):
        pair.wire.send(b"x")


def test_a_closed_wire_ends_and_may_be_closed_again(pair: Pair) -> None:
    pair.wire.close()
    pair.wire.close()
    assert pair.wire.receive() is None
    assert pair.wire.fileno() == -1


class TlsSocket(socket.socket):
    """A socket that asks to wait as TLS does: by errors of its own, which are OSErrors. It minds being shared."""

    def __init__(self, inner: socket.socket) -> None:
        super().__init__(fileno=inner.detach())
        self._busy = False
        self.was_shared = False

    def pending(self) -> int:
        return 0

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.was_shared |= self._busy
        self._busy = True
        time.sleep(0)  # lets another thread in, as the library does when it works
        yield
        self._busy = False

    def recv_into(self, view: memoryview) -> int:  # type: ignore[override]  # as it is called
        with self._alone():
            try:
                return super().recv_into(view)
            except BlockingIOError:
                pass
        raise ssl.SSLWantReadError

    def send(self, data: memoryview) -> int:  # type: ignore[override]  # as it is called
        with self._alone():
            try:
                return super().send(data)
            except BlockingIOError:
                pass
        raise ssl.SSLWantWriteError


def test_over_tls_waiting_is_not_taken_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "SEND_SECONDS", 0.05)
    pair = Pair(lambda host: SimpleNamespace(_sock=TlsSocket(host), close=lambda: None))
    assert pair.wire.receive() == b""
    pair.engine.sendall(part(STDOUT, b"here"))
    assert pair.wire.receive() == b"here"
    with pytest.raises(ChannelError, match="has not read"):
        pair.wire.send(bytes(10_000_000))
    pair.close()


def test_over_tls_reading_and_writing_do_not_overlap() -> None:
    shared: list[TlsSocket] = []

    def attached(host: socket.socket) -> SimpleNamespace:
        shared.append(TlsSocket(host))
        return SimpleNamespace(_sock=shared[0], close=lambda: None)

    pair = Pair(attached)
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            pair.wire.receive()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for _ in range(500):
        pair.wire.send(b"x")
        pair.engine.recv(1)
    done.set()
    reader.join(5)
    assert not shared[0].was_shared
    pair.close()


def test_over_tls_what_comes_after_the_end_of_what_was_sent_is_read_all_the_same(tmp_path: Path) -> None:
    trusted = authority.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted.identity)
    here, there = socket.socketpair()

    def answer() -> None:
        with context.wrap_socket(there, server_side=True) as server:
            asked = server.recv(100)
            (ends := select.poll()).register(server, select.POLLRDHUP)
            assert ends.poll(10_000)
            server.sendall(b"heard " + asked)

    (answering := threading.Thread(target=answer)).start()
    client = sockets.OneAtATime(ssl.create_default_context(cadata=trusted.pem.decode()).wrap_socket(
        here, server_hostname="localhost"))
    sockets.send_all(client, b"all")
    client.shutdown(socket.SHUT_WR)
    got = bytearray(100)
    assert got[:client.recv_into(memoryview(got))] == b"heard all"
    answering.join()
    client.close()
