"""A channel ends once, by silence, garbage or a hang-up, and every reader is told the reason."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from sandbox_interpreter.errors import ChannelError
from sandbox_interpreter.sandbox import channel as channels
from tests.support.agents import ready
from tests.support.lines import SECONDS, Line, stream, take


@pytest.fixture
def line() -> Iterator[Line]:
    with contextlib.closing(Line()) as made:
        yield made


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
