"""Connections as the host relays them for an agent that may have been taken over: counted, bounded, cut off."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.agent.frames import (
    DOWNLOAD_WINDOW,
    FRAME_COST,
    HOST_FRAMES,
    HOST_PAYLOAD,
    MOST_STREAMS,
    UPLOAD_WINDOW,
    Decoder,
    Frame,
    encode,
)
from sandbox_interpreter.engines.sockets import SocketWire
from sandbox_interpreter.sandbox.channel import Channel
from sandbox_interpreter.sandbox.egress import MOST_DIALS
from sandbox_interpreter.sandbox.gate import Gate
from tests.support.agents import ready

SECONDS = 5.0


class Guest:
    """The agent's end of a channel whose gate allows one server."""

    def __init__(self, gate: Gate | None) -> None:
        host, self.wire = socket.socketpair()
        self.channel = Channel(SocketWire(host), heartbeat=3600, gate=gate)
        self.wire.settimeout(SECONDS)
        self._decoder = Decoder(HOST_FRAMES, strict=False)
        self._frames: list[Frame] = []
        self.say(ready())

    def say(self, *data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wire.sendall(b"".join(data))

    def connect(self, identifier: int, port: int, host: str = "127.0.0.1") -> None:
        self.say(encode("egress_connect", id=identifier, host=host, port=port))

    def hear(self) -> Frame:
        while not self._frames:
            data = self.wire.recv(1_000_000)
            assert data, "the host has hung up"
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def hear_soon(self, seconds: float = 0.3) -> Frame | None:
        self.wire.settimeout(seconds)
        try:
            return self.hear()
        except TimeoutError:
            return None
        finally:
            self.wire.settimeout(SECONDS)

    def open(self, identifier: int, server: socket.socket) -> socket.socket:
        """Return the server's end of a connection that is accepted."""
        self.connect(identifier, server.getsockname()[1])
        peer, _ = server.accept()
        peer.settimeout(SECONDS)
        assert (self.hear().type, identifier) == ("egress_accept", identifier)
        return peer

    def ends(self) -> str:
        """Return why the channel has ended."""
        assert self.channel.ended.wait(SECONDS)
        return str(self.channel.error)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.settimeout(SECONDS)
        yield listener


@pytest.fixture
def guest(server: socket.socket) -> Iterator[Guest]:
    made = Guest(Gate(f"127.0.0.1:{server.getsockname()[1]}"))
    yield made
    made.channel.close()
    made.wire.close()


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def data(identifier: int, payload: bytes) -> bytes:
    return encode("egress_data", payload, id=identifier)


def end(identifier: int, *, broken: bool = False) -> bytes:
    return encode("egress_end", id=identifier, broken=broken)


def wait_until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    give_up = time.monotonic() + seconds
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.005)
    assert condition()


def test_bytes_pass_both_ways_and_each_end_is_passed_on(guest: Guest, server: socket.socket) -> None:
    with guest.open(1, server) as peer:
        guest.say(data(1, b"question"), end(1))
        assert peer.recv(100) == b"question"
        assert peer.recv(100) == b""
        peer.sendall(b"answer")
        peer.shutdown(socket.SHUT_WR)
        first, last = guest.hear(), guest.hear()
    assert (first.type, first.payload) == ("egress_data", b"answer")
    assert (last.type, last.header["broken"]) == ("egress_end", False)


def test_a_connection_that_breaks_is_told_as_broken(guest: Guest, server: socket.socket) -> None:
    peer = guest.open(1, server)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    told = guest.hear()
    assert (told.type, told.header["broken"]) == ("egress_end", True)


def test_what_the_agent_breaks_off_is_closed_at_the_server(guest: Guest, server: socket.socket) -> None:
    with guest.open(1, server) as peer:
        guest.say(end(1, broken=True))
        assert peer.recv(100) == b""


def test_a_reader_without_credit_gets_no_more_than_its_window(guest: Guest, server: socket.socket) -> None:
    def pour() -> None:
        with contextlib.suppress(OSError):
            peer.sendall(bytes(4 * DOWNLOAD_WINDOW))

    with guest.open(1, server) as peer:
        threading.Thread(target=pour, daemon=True).start()
        total = 0
        while frame := guest.hear_soon():
            total += len(frame.payload) + FRAME_COST
        assert DOWNLOAD_WINDOW - FRAME_COST <= total <= DOWNLOAD_WINDOW
        guest.say(encode("egress_credit", id=1, bytes=1000))
        assert len(guest.hear().payload) <= 1000


def test_a_server_that_does_not_read_holds_up_its_own_connection_only(guest: Guest, server: socket.socket) -> None:
    with guest.open(1, server), guest.open(2, server) as other:
        room = UPLOAD_WINDOW // (HOST_PAYLOAD + FRAME_COST)
        guest.say(*(data(1, bytes(HOST_PAYLOAD)) for _ in range(room)))
        guest.say(data(2, b"hello"))
        assert other.recv(100) == b"hello"


@pytest.mark.parametrize("forged", [
    data(1, bytes(HOST_PAYLOAD)) * (UPLOAD_WINDOW // HOST_PAYLOAD + 60),
    end(1) + data(1, b"more"),
    encode("egress_credit", id=1, bytes=-1),
    encode("egress_connect", id=1, host="127.0.0.1", port=1),
    encode("egress_connect", id=0, host="127.0.0.1", port=1),
    encode("egress_connect", id=-5, host="127.0.0.1", port=1),
], ids=["flood", "data after the end", "negative credit", "a number in use", "zero", "negative"])
def test_what_an_agent_may_not_send_ends_its_channel(guest: Guest, server: socket.socket, forged: bytes) -> None:
    with guest.open(1, server):
        threading.Thread(target=guest.say, args=(forged,), daemon=True).start()
        assert "broke the protocol" in guest.ends()


def test_data_before_the_connection_is_there_ends_the_channel(guest: Guest) -> None:
    guest.say(encode("egress_connect", id=7, host="example.com", port=1), data(7, b"x"))
    with contextlib.suppress(AssertionError):  # refused first, it is data of a connection that is no more
        assert "more of a connection" in guest.ends()


def test_frames_of_connections_that_are_none_are_passed_over(guest: Guest, server: socket.socket) -> None:
    guest.say(data(99, b"x" * 1000) * 1000, end(99), encode("egress_credit", id=99, bytes=5))
    with guest.open(1, server):
        assert guest.channel.error is None


def test_without_a_gate_asking_is_against_the_protocol() -> None:
    guest = Guest(None)
    guest.connect(1, 80)
    assert "which nothing allows" in guest.ends()
    guest.wire.close()


def test_a_hostile_credit_grows_nothing(guest: Guest, server: socket.socket) -> None:
    with guest.open(1, server) as peer:
        guest.say(encode("egress_credit", id=1, bytes=2**53) * 10)
        peer.sendall(b"x" * 100)
        assert guest.hear().payload == b"x" * 100


def test_thousands_of_opens_end_the_channel_and_leave_nothing_open(guest: Guest, server: socket.socket) -> None:
    before = descriptors()
    port = server.getsockname()[1]
    guest.say(*(encode("egress_connect", id=number, host="127.0.0.1", port=port) for number in range(1, 5000)))
    assert f"more than {MOST_STREAMS} connections" in guest.ends()
    wait_until(lambda: descriptors() <= before)
    wait_until(lambda: sum(thread.name == "sbi-dial" for thread in threading.enumerate()) == 0)


def test_opens_that_are_broken_off_at_once_hold_no_more_than_may_be_dialled(server: socket.socket) -> None:
    held = threading.Event()

    def slow(_name: str, _port: int) -> list[str]:
        held.wait(SECONDS)
        return ["127.0.0.1"]

    guest = Guest(Gate("server.example,127.0.0.1", resolve=slow))
    for number in range(1, 3000):
        guest.say(encode("egress_connect", id=number, host="server.example", port=80), end(number, broken=True))
    guest.say(encode("pong"))
    time.sleep(0.1)
    assert sum(thread.name == "sbi-dial" for thread in threading.enumerate()) <= MOST_DIALS
    assert guest.channel.error is None
    held.set()
    guest.channel.close()
    guest.wire.close()


def test_closing_the_channel_closes_its_connections_and_its_thread(guest: Guest, server: socket.socket) -> None:
    with guest.open(1, server) as peer:
        guest.channel.close()
        assert peer.recv(100) == b""
    wait_until(lambda: not any(thread.name == "sbi-egress" for thread in threading.enumerate()))


def test_a_fault_of_ours_is_told_and_leaves_nobody_waiting(server: socket.socket) -> None:
    def broken(_name: str, _port: int) -> list[str]:
        raise RuntimeError("a b\r\nc: \x1b[2J é")

    guest = Guest(Gate("server.example", resolve=broken))
    guest.connect(1, 80, "server.example")
    told = guest.hear()
    assert (told.type, told.header["status"]) == ("egress_refuse", 502)
    assert told.header["reason"].startswith("sbi cannot judge this connection: a b c:")
    assert told.header["reason"].isascii()
    assert told.header["reason"].isprintable()
    guest.channel.close()
    guest.wire.close()


def test_a_refusal_reaches_the_agent_with_its_rule(guest: Guest) -> None:
    guest.connect(1, 443, "evil.example")
    told = guest.hear()
    assert (told.type, told.header["status"]) == ("egress_refuse", 403)
    assert "evil.example:443 is not listed" in told.header["reason"]
    assert b"--network" in told.payload


def test_a_host_without_descriptors_says_so_and_carries_the_next_one(
        guest: Guest, server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_flags: int) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pipe2", refuse)
        for number in range(1, MOST_DIALS + 2):
            guest.connect(number, server.getsockname()[1])
            answer = guest.hear()
            assert (answer.type, answer.header["status"]) == ("egress_refuse", 502)
            server.accept()[0].close()
    guest.open(MOST_DIALS + 2, server).close()
