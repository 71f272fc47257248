"""The one thread that serves every channel outlives whatever a single channel does."""

from __future__ import annotations

import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sandbox_interpreter.engines.sockets import SocketWire, writable
from sandbox_interpreter.errors import ChannelError
from sandbox_interpreter.sandbox import reactor
from sandbox_interpreter.sandbox.channel import Channel


class Broken:
    """A channel with a fault of ours in it."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.told = threading.Event()
        self.error: ChannelError | None = None

    def fileno(self) -> int:
        return self.ours.fileno()

    def readable(self) -> None:
        raise ZeroDivisionError("a fault")

    def tick(self, now: float) -> None:
        raise ZeroDivisionError("a fault")

    def fail(self, error: ChannelError) -> None:
        self.error = error
        reactor.shared().remove(self)
        self.told.set()


@pytest.fixture
def broken() -> Iterator[Broken]:
    channel = Broken()
    yield channel
    channel.ours.close()
    channel.theirs.close()


def wait_for(condition: Callable[[], object], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(condition())


def test_a_fault_in_one_channel_is_told_to_it_and_stops_no_other(broken: Broken) -> None:
    reactor.shared().add(broken)
    broken.theirs.send(b"x")
    assert broken.told.wait(5)
    assert "ZeroDivisionError" in str(broken.error)
    host, guest = socket.socketpair()
    channel = Channel(SocketWire(host), heartbeat=60)
    guest.close()
    assert wait_for(lambda: channel.error)
    channel.close()


def test_a_fault_in_a_tick_is_told_as_well(broken: Broken) -> None:
    reactor.shared().add(broken)
    assert broken.told.wait(reactor.TICK + 4)


def test_a_closed_channel_may_be_ticked_since_both_happen_in_threads() -> None:
    host, guest = socket.socketpair()
    channel = Channel(SocketWire(host), heartbeat=0)
    channel.close()
    channel.error = None  # as the tick saw it just before
    channel.tick(time.monotonic() + 1)
    guest.close()


def test_a_descriptor_past_1024_is_waited_for() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1100:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, hard), hard))
    ours, theirs = socket.socketpair()
    high = os.dup2(ours.fileno(), 1050)
    ours.close()
    far = socket.socket(fileno=high)
    try:
        assert writable(far, 0)
        channel = Channel(SocketWire(far), heartbeat=0)
        assert theirs.recv(4, socket.MSG_WAITALL) == b"sbi\x01"
        channel.close()
    finally:
        far.close()
        theirs.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_channels_that_end_at_both_ends_at_once_leave_their_descriptors_free() -> None:
    for _ in range(200):
        host, guest = socket.socketpair()
        channel = Channel(SocketWire(host), heartbeat=60)
        closer = threading.Thread(target=channel.close)
        closer.start()
        guest.close()
        channel.fail(ChannelError("gone"))
        closer.join()
        assert host.fileno() == -1
