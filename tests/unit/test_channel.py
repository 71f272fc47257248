"""What a channel believes of an agent that may have been taken over: nothing that breaks a rule."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox_interpreter.agent.frames import (
    HOST_FRAMES,
    MAX_PAYLOAD,
    PROTOCOL,
    RESYNC_PADDING,
    SYNC_MARK,
    Decoder,
    Frame,
    encode,
)
from sandbox_interpreter.engines.sockets import SocketWire
from sandbox_interpreter.errors import ChannelError, UsageError
from sandbox_interpreter.sandbox import channel as channels
from sandbox_interpreter.sandbox.channel import Channel
from sandbox_interpreter.sandbox.inbox import SLACK, WINDOW, Inbox
from tests.support.agents import ready

SECONDS = 5.0


class Line:
    """A channel, and the agent's end of its wire."""

    def __init__(self, *, joins: bool = False) -> None:
        host, self.guest = socket.socketpair()
        self.channel = Channel(SocketWire(host), heartbeat=3600, joins=joins)
        self._decoder = Decoder(HOST_FRAMES, strict=False)

    def say(self, *data: bytes) -> None:
        """Send as the agent, to a host that may hang up meanwhile and then reads no more."""
        view = memoryview(b"".join(data))
        self.guest.settimeout(0.05)
        while view and self.channel.error is None:
            with contextlib.suppress(TimeoutError, BrokenPipeError, ConnectionResetError):
                view = view[self.guest.send(view[:65_536]) :]
        self.guest.settimeout(SECONDS)

    def hear(self) -> list[Frame]:
        return list(self._decoder.feed(self.guest.recv(1_000_000)))

    def wait_for_error(self) -> ChannelError:
        deadline = time.monotonic() + SECONDS
        while self.channel.error is None and time.monotonic() < deadline:
            time.sleep(0.002)
        assert self.channel.error is not None
        return self.channel.error

    def close(self) -> None:
        self.channel.close()
        self.guest.close()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


@pytest.fixture
def joined() -> Iterator[Line]:
    made = Line(joins=True)
    yield made
    made.close()


def stream(identifier: int, data: bytes) -> bytes:
    return encode("stream", data, id=identifier, name="stdout")


def take(inbox: Inbox) -> Frame:
    frame = inbox.get(SECONDS)
    assert frame is not None
    return frame


# --- credit ---


def test_the_whole_window_may_wait_for_its_reader(line: Line) -> None:
    inbox = line.channel.open()
    line.say(ready(), *[stream(inbox.id, bytes(65_536 - 256)) for _ in range(WINDOW // 65_536)])
    total = 0
    while total < WINDOW - 256 * (WINDOW // 65_536):
        frame = take(inbox)
        total += len(frame.payload)
        inbox.consumed(frame)
    assert line.channel.error is None


def test_more_than_the_window_ends_the_channel(line: Line) -> None:
    inbox = line.channel.open()
    line.say(ready(), *[stream(inbox.id, bytes(MAX_PAYLOAD)) for _ in range((WINDOW + SLACK) // MAX_PAYLOAD + 1)])
    assert "more was sent than was granted" in str(line.wait_for_error())


@pytest.mark.parametrize("frame", [
    stream(1, b""),
    encode("active_line", id=1, line=1),
    encode("credit", id=1, bytes=0),
    encode("display_data", id=1, parts={}, result=False, more=True),
    encode("file_names", id=1),
], ids=["stream", "active_line", "credit", "display", "names"])
def test_a_flood_of_frames_without_a_payload_ends_the_channel(line: Line, frame: bytes) -> None:
    line.channel.open()
    line.say(ready(), frame * ((WINDOW + SLACK) // 256 + 1))
    assert "more was sent than was granted" in str(line.wait_for_error())


def test_long_headers_count_for_what_they_are(line: Line) -> None:
    inbox = line.channel.open()
    long = encode("error", id=inbox.id, ename="x" * 60_000, evalue="")
    tracemalloc.start()
    try:
        line.say(ready(), *[long] * 2000)
        assert "more was sent than was granted" in str(line.wait_for_error())
        assert tracemalloc.get_traced_memory()[1] < 200 * 1024 * 1024  # 120 of them are the sender's own
    finally:
        tracemalloc.stop()


def test_what_is_consumed_is_granted_again_frame_costs_and_all(line: Line) -> None:
    inbox = line.channel.open()
    line.say(ready())
    for _ in range(WINDOW // 4 // 256 + 1):
        line.say(stream(inbox.id, b""))
        inbox.consumed(take(inbox))
    (grant,) = line.hear()
    assert (grant.type, grant.header) == ("credit", {"id": inbox.id, "bytes": (WINDOW // 4 // 256 + 1) * 256})


def test_output_for_nobody_is_dropped_and_costs_no_memory(line: Line) -> None:
    inbox = line.channel.open()
    inbox.close()
    line.say(ready(), *[stream(number % 50, bytes(60_000)) for number in range(500)], stream(-1, b"x"),
             encode("status", id=2**53, exit_code=0, limit=None, duration_ms=0, interrupted=False))
    other = line.channel.open()
    line.say(stream(other.id, b"here"))
    assert take(other).payload == b"here"
    assert inbox.get(0.01) is None


# --- who may say what, and when ---


def test_another_protocol_version_ends_the_channel(line: Line) -> None:
    line.say(ready(protocol=PROTOCOL + 1))
    assert "another protocol version" in str(line.wait_for_error())
    assert line.channel.ready.wait(5)  # set just behind the error
    assert not line.channel.answered


@pytest.mark.parametrize(("joins", "said"), [
    (False, [ready(), ready()]),
    (False, [encode("sync_reply", requests=[], last=0)]),
    (False, [ready(), encode("sync_reply", requests=[1], last=0)]),
    (True, [ready()]),
    (True, [encode("sync_reply", requests=[], last=0)] * 2),
], ids=["ready-twice", "sync-unasked", "sync-after-ready", "ready-after-sync", "sync-twice"])
def test_a_beginning_out_of_turn_ends_the_channel(joins: bool, said: list[bytes]) -> None:
    line = Line(joins=joins)
    if joins:
        line.say(SYNC_MARK + line.channel._nonce.encode())
    line.say(*said)
    assert "out of turn" in str(line.wait_for_error())
    line.close()


def test_a_forged_sync_takes_no_run_away_from_its_reader(line: Line) -> None:
    inbox = line.channel.open()
    line.say(ready(), encode("sync_reply", requests=[inbox.id], last=0))
    with pytest.raises(ChannelError, match="out of turn"):
        inbox.get(SECONDS)


@pytest.mark.parametrize("requests", [
    [0], [-1], ["1"], list(range(1, 66)), [1, "x"],
], ids=["zero", "negative", "text", "too-many", "mixed"])
def test_requests_that_cannot_be_are_not_resumed(joined: Line, requests: list[Any]) -> None:
    joined.say(SYNC_MARK + joined.channel._nonce.encode(), encode("sync_reply", requests=requests, last=0))
    with pytest.raises(ChannelError, match="cannot be"):
        joined.channel.resync(SECONDS)


def test_a_request_named_twice_is_resumed_once(joined: Line) -> None:
    joined.say(SYNC_MARK + joined.channel._nonce.encode(), encode("sync_reply", requests=[7, 7], last=3))
    (inbox,) = joined.channel.resync(SECONDS)
    assert inbox.id == 7
    assert joined.channel.open().id == 8


def test_a_stream_joined_half_way_means_nothing_before_its_mark(joined: Line) -> None:
    half = stream(4, bytes(5000))[1234:]
    joined.say(half, SYNC_MARK, b"0" * 32, half)  # also an older client's mark
    time.sleep(0.05)
    assert joined.channel.error is None
    answer = threading.Thread(target=joined.channel.resync, args=(SECONDS,))
    answer.start()
    heard: list[Frame] = []
    while not heard:
        heard = joined.hear()
    mark = SYNC_MARK + heard[0].header["nonce"].encode()
    for byte in mark:  # split anywhere
        joined.say(bytes([byte]))
    joined.say(encode("sync_reply", requests=[4], last=4), stream(4, b"rest"))
    answer.join(SECONDS)
    assert not answer.is_alive()
    assert joined.channel.error is None
    assert take(joined.channel._resumed[0]).payload == b"rest"


def test_an_agent_that_does_not_answer_a_resync_is_given_up(joined: Line) -> None:
    with pytest.raises(ChannelError, match="does not answer"):
        joined.channel.resync(0.05)


# --- life and death ---


def test_an_agent_that_answers_no_heartbeat_is_given_up(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox = line.channel.open()
    line.say(ready())
    while not line.channel.answered:
        time.sleep(0.002)
    line.channel._heartbeat = 0
    monkeypatch.setattr(channels, "SILENCE_SECONDS", 0.1)
    with pytest.raises(ChannelError, match="has not answered"):
        inbox.get(SECONDS)


def test_an_agent_that_never_begins_is_given_up(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "SILENCE_SECONDS", 0.1)
    assert line.channel.ready.wait(SECONDS)
    assert "has not answered" in str(line.channel.error)


def test_time_in_which_nobody_asked_is_no_silence(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.say(ready())
    while not line.channel.answered:
        time.sleep(0.002)
    monkeypatch.setattr(channels, "SILENCE_SECONDS", 0.1)
    line.channel.tick(time.monotonic() + 0.2)  # this process stood still meanwhile
    assert line.channel.error is None


def test_the_end_of_the_stream_reaches_every_reader_after_what_came_before(line: Line) -> None:
    inboxes = [line.channel.open() for _ in range(3)]
    line.say(ready(), *[stream(inbox.id, b"last words") for inbox in inboxes])
    line.guest.close()
    for inbox in inboxes:
        assert take(inbox).payload == b"last words"
        for _ in range(2):  # whoever asks again is told again
            with pytest.raises(ChannelError, match="container has ended"):
                inbox.get(SECONDS)
    with pytest.raises(ChannelError, match="container has ended"):
        line.channel.open().get(SECONDS)


def test_the_first_reason_stays(line: Line) -> None:
    line.channel.fail(ChannelError("first"))
    line.channel.fail(ChannelError("second"))
    assert str(line.channel.error) == "first"


def test_closing_twice_and_sending_afterwards_is_told_not_crashed(line: Line) -> None:
    line.channel.close()
    line.channel.close()
    with pytest.raises(ChannelError, match="closed"):
        line.channel.send("reset_request")


@pytest.mark.parametrize("garbage", [b"\x00" * 12, b"HTTP/1.1 200 OK\r\n", b"sbi\x01" + b"\xff" * 8],
                         ids=["zeros", "text", "lengths"])
def test_garbage_ends_the_channel_with_a_next_step(line: Line, garbage: bytes) -> None:
    inbox = line.channel.open()
    line.say(ready(), garbage)
    with pytest.raises(ChannelError, match="broke the protocol") as caught:
        inbox.get(SECONDS)
    assert caught.value.next_step


# --- sending ---


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
