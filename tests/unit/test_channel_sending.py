"""Messages to an agent arrive whole, whatever cuts into one, and one that cannot be sent costs no other."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from sandbox_interpreter.agent.frames import HOST_FRAMES, RESYNC_PADDING, Decoder, Frame
from sandbox_interpreter.engines.sockets import SocketWire
from sandbox_interpreter.errors import ChannelError, UsageError
from sandbox_interpreter.sandbox.channel import Channel
from tests.support.lines import SECONDS, Line


@pytest.fixture
def line() -> Iterator[Line]:
    with contextlib.closing(Line()) as made:
        yield made


@pytest.fixture
def joined() -> Iterator[Line]:
    with contextlib.closing(Line(joins=True)) as made:
        yield made


class CutWire(SocketWire):
    """A wire on which a Ctrl-C strikes in the midst of one send."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self.strike: Callable[[bytes], int] | None = None

    def send(self, data: bytes) -> None:
        if self.strike is not None:
            size, self.strike = self.strike(data), None
            super().send(data[:size])
            raise KeyboardInterrupt
        super().send(data)


@pytest.mark.parametrize("cut", [0, 1, 11, 12, 40, -1])
def test_a_send_cut_by_ctrl_c_costs_its_own_message_only(cut: int) -> None:
    host, guest = socket.socketpair()
    wire = CutWire(host)
    channel = Channel(wire, heartbeat=3600)
    wire.strike = lambda data: cut % len(data)
    with pytest.raises(KeyboardInterrupt):
        channel.send("stdin", b"sbi\x01\x00\x00\xff\xff\x00\x00\xff\xff" * 20, id=1, eof=False)
    heard: list[Frame] = []
    decoder = Decoder(HOST_FRAMES, strict=False, most_payload=65_536)

    def read() -> None:
        while len(heard) < 2:
            heard.extend(decoder.feed(guest.recv(65_536)))

    reader = threading.Thread(target=read)
    reader.start()
    channel.send("stdin", b"second", id=1, eof=False)
    channel.send("stdin", b"third", id=1, eof=False)
    reader.join(SECONDS)
    assert [frame.payload for frame in heard] == [b"second", b"third"]
    channel.close()
    guest.close()


def test_a_header_too_long_to_send_is_the_callers_mistake(line: Line) -> None:
    with pytest.raises(UsageError, match="too long"):
        line.channel.send("file_get", id=1, path="x" * 70_000)
    assert line.channel.error is None


def test_messages_from_many_threads_do_not_mix(line: Line) -> None:
    def send(number: int) -> None:
        for _ in range(20):
            line.channel.send("stdin", bytes([number]) * 3000, id=number, eof=False)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    heard: list[Frame] = []
    while len(heard) < 80:
        heard += line.hear()
    for thread in threads:
        thread.join()
    assert all(frame.payload == bytes([frame.header["id"]]) * 3000 for frame in heard)


def test_the_padding_of_a_resync_comes_before_its_question(joined: Line) -> None:
    with pytest.raises(ChannelError, match="does not answer"):
        joined.channel.resync(0.01)
    data = joined.guest.recv(len(RESYNC_PADDING) + 1, socket.MSG_WAITALL)
    assert data == RESYNC_PADDING + b"s"
