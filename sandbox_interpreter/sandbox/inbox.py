"""The frames of one conversation on a channel (a run, a transfer), for one reader, and how many may wait for it."""

from __future__ import annotations

import contextlib
import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from sandbox_interpreter.agent.frames import FRAME_COST, Frame, FrameError, cost
from sandbox_interpreter.errors import ChannelError

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.channel import Channel

WINDOW = 4 * 1024 * 1024
"""Credit that one run may use ahead of its reader: twice what the engine's relay holds in flight at full speed."""
SHOWN_WINDOW = 256 * 1024
"""The same where a terminal is the reader: it shows all that waits before it shows that an interrupt has landed."""
# What goes beyond it: output from between two cells, the end of a run, and headers that are longer than most.
SLACK = 2 * 1024 * 1024


class Inbox:
    """The frames of one conversation. One thread reads; any may wake it, send, or close.

    ``window`` is the number of bytes that may come ahead of the reader, of those that are sent against credit.
    """

    def __init__(self, channel: Channel, identifier: int, window: int = WINDOW) -> None:
        self.id = identifier
        self.channel = channel
        self.window = window
        self._frames: SimpleQueue[Frame | ChannelError | None] = SimpleQueue()
        self._waiting = 0
        self._unreported = 0
        self._lock = threading.Lock()

    def put(self, item: Frame | ChannelError) -> None:
        """Take a frame from the channel. Raises FrameError when its sender goes beyond its credit."""
        if isinstance(item, Frame):
            with self._lock:
                self._waiting += _memory(item)
            if self._waiting > WINDOW + SLACK:
                raise FrameError("more was sent than was granted")
        self._frames.put(item)

    def wake(self) -> None:
        """Let the reader look at the clock again."""
        self._frames.put(None)

    def get(self, timeout: float | None = None) -> Frame | None:
        """Return the next frame; None after ``timeout`` seconds or when woken.

        Raises ChannelError when the channel has ended.
        """
        try:
            item = self._frames.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(item, ChannelError):
            self._frames.put(item)  # for whoever asks again
            raise item
        return item

    def consumed(self, frame: Frame) -> None:
        """Grant as much again as ``frame`` took, now that it is out of memory; small sums are saved up."""
        with self._lock:
            self._waiting -= _memory(frame)
            self._unreported += cost(frame.payload)
            grant = self._unreported if self._unreported > self.window // 4 else 0
            self._unreported -= grant
        if grant:
            with contextlib.suppress(ChannelError):  # the reader learns of it from get, after what came before
                self.send("credit", bytes=grant)

    def send(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        """Send a message of this conversation. Raises ChannelError."""
        self.channel.send(kind, payload, id=self.id, **header)

    def close(self) -> None:
        """Stop receiving."""
        self.channel.forget(self.id)


def _memory(frame: Frame) -> int:
    """Return about how many bytes a frame keeps occupied while it waits."""
    return max(frame.header_size, FRAME_COST) + len(frame.payload)
