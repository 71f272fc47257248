"""The agent's end of the container's stdin and stdout: frames in, frames out, never blocking.

A host that stops reading must not stop the dead-man switch, so a write that would block waits in an outbox. What
waits there is bounded, since everything large is sent against credit.
"""

from __future__ import annotations

import os

from .frames import HOST_FRAMES, HOST_PAYLOAD, MAX_PAYLOAD, SYNC_MARK, Decoder, fragments
from .poller import Outbox, Poller, widen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .frames import Frame

READ_SIZE = 256 * 1024


class HostLink:
    """Frames to and from the host."""

    def __init__(self, poller: Poller) -> None:
        # What claims to be larger is none of the host's frames; waiting for its end would swallow a resync.
        self._decoder = Decoder(HOST_FRAMES, strict=False, most_payload=HOST_PAYLOAD)
        # Moved away from 0 and 1, which children inherit: those are /dev/null from here on.
        self.input, output = os.dup(0), os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.close(null)
        os.set_blocking(self.input, False)
        os.set_blocking(output, False)
        widen(output)
        self._outbox = Outbox(poller, output)
        self.lost = False  # no client was heard for some time: what is sent would reach nobody

    @property
    def congested(self) -> bool:
        """Tell whether bytes wait for room in the pipe."""
        return self._outbox.waiting

    def read(self) -> Iterator[Frame]:
        """Yield the frames that have arrived; ends the process when stdin has ended."""
        try:
            data = os.read(self.input, READ_SIZE)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)
        yield from self._decoder.feed(data)

    def send(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        """Send one frame; a payload above the frame limit goes as several, all but the last marked ``more``."""
        for data in fragments(kind, payload, MAX_PAYLOAD, **header):
            self._outbox.push(data)

    def send_sync(self, nonce: str) -> None:
        """Send the mark by which a client that attached in mid-stream finds the first whole frame."""
        self._outbox.push(SYNC_MARK + nonce.encode())
