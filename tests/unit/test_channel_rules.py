"""What a channel believes of an agent that may have been taken over: nothing that breaks a rule."""

from __future__ import annotations

import contextlib
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox_interpreter.agent.frames import MAX_PAYLOAD, PROTOCOL, SYNC_MARK, Frame, encode
from sandbox_interpreter.errors import ChannelError
from sandbox_interpreter.sandbox.inbox import SLACK, WINDOW
from tests.support.agents import ready
from tests.support.lines import SECONDS, Line, stream, take


@pytest.fixture
def line() -> Iterator[Line]:
    with contextlib.closing(Line()) as made:
        yield made


@pytest.fixture
def joined() -> Iterator[Line]:
    with contextlib.closing(Line(joins=True)) as made:
        yield made


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
