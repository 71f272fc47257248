"""A channel whose agent is played by the test, frame by frame and byte by byte."""

from __future__ import annotations

import contextlib
import socket
import time

from sandbox_interpreter.agent.frames import HOST_FRAMES, Decoder, Frame, encode
from sandbox_interpreter.engines.sockets import SocketWire
from sandbox_interpreter.errors import ChannelError
from sandbox_interpreter.sandbox.channel import Channel
from sandbox_interpreter.sandbox.inbox import Inbox

SECONDS = 5.0
"""How long anything is waited for."""


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
        """Return what the host sent, as far as it has come."""
        return list(self._decoder.feed(self.guest.recv(1_000_000)))

    def wait_for_error(self) -> ChannelError:
        """Return the error that ends the channel, which must come in time."""
        deadline = time.monotonic() + SECONDS
        while self.channel.error is None and time.monotonic() < deadline:
            time.sleep(0.002)
        assert self.channel.error is not None
        return self.channel.error

    def close(self) -> None:
        """Close both ends."""
        self.channel.close()
        self.guest.close()


def stream(identifier: int, data: bytes) -> bytes:
    """Return output of the run of that number."""
    return encode("stream", data, id=identifier, name="stdout")


def take(inbox: Inbox) -> Frame:
    """Return the next frame, which must come in time."""
    frame = inbox.get(SECONDS)
    assert frame is not None
    return frame
