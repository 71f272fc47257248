"""The host's end of the stream to an agent: frames in both directions, and what may be believed of them.

The agent is inside the sandbox and may have been taken over. Every frame is checked for size and schema, each
conversation (a run, a transfer) may send no more than it was granted, and whatever breaks a rule ends the channel.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sandbox_interpreter.agent.frames import (
    AGENT_FRAMES,
    PROTOCOL,
    RESYNC_PADDING,
    SYNC_MARK,
    Decoder,
    Frame,
    FrameError,
    encode,
    fragments,
)
from sandbox_interpreter.engines.base import Wire
from sandbox_interpreter.engines.sockets import HungUp, writable
from sandbox_interpreter.errors import ChannelError, UsageError
from sandbox_interpreter.sandbox import reactor
from sandbox_interpreter.sandbox.inbox import WINDOW, Inbox
from sandbox_interpreter.sandbox.turns import Turns

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.egress import Egress
    from sandbox_interpreter.sandbox.gate import Gate

MOST_RESUMED = 64
SILENCE_SECONDS = 120.0
"""Seconds without a byte, not even an answer to a heartbeat, after which an agent is given up: it may be stopped."""


class Channel:
    """Frames over a wire. Thread-safe; the reactor's thread reads, anyone sends."""

    def __init__(self, wire: Wire, *, heartbeat: float, joins: bool = False, gate: Gate | None = None) -> None:
        """Serve ``wire``; ``heartbeat`` is the number of seconds between signs of life to the agent.

        ``joins``: it is joined half-way, so that nothing on it means anything before a ``resync``. ``gate`` judges
        the connections that the agent asks for; without one, asking breaks the protocol.
        """
        self._wire = wire
        self._heartbeat = heartbeat
        self._pinged_at = time.monotonic()
        self._asked_at: float | None = self._pinged_at
        self._decoder = Decoder(AGENT_FRAMES, strict=True)
        self._turns = Turns()
        self._lock = threading.Lock()
        self._inboxes: dict[int, Inbox] = {}
        self._next_id = 0
        self._cut = False
        self._nonce = os.urandom(16).hex() if joins else ""
        self._mark = SYNC_MARK + self._nonce.encode() if joins else None
        self._seen = b""
        self.error: ChannelError | None = None
        self.answered = False
        self.place = ""
        """What the agent says of the folder at /workspace; see ``place.py``."""
        self.confined = True
        """Whether the agent, once it has answered, says that its filter of kernel calls holds; code cannot make it."""
        self.ended = threading.Event()
        self._resumed: list[Inbox] = []
        self.ready = threading.Event()
        self._egress = _egress(self, gate) if gate else None
        reactor.shared().add(self)

    @property
    def is_fresh(self) -> bool:
        """Tell whether neither this client nor, as the agent says, any before it has asked for anything."""
        return self._next_id == 0

    # --- sending ---

    def send_raw(self, data: bytes, *, bulk: bool = False) -> None:
        """Write bytes that come before the first frame. ``bulk`` lets others go first. Raises ChannelError."""
        if self.error:
            raise self.error
        try:
            with self._turns.last() if bulk else self._turns.next():
                # A Ctrl-C in the midst of a send leaves a cut frame; filled up, it is dropped, and the next is found.
                filler, self._cut = RESYNC_PADDING if self._cut else b"", True
                self._wire.send(filler + data)
                self._cut = False
        except HungUp:
            raise  # the channel ends when all that was said before is read
        except ChannelError as error:
            self.fail(error)
            raise

    def send(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        """Send one message, in as many frames as it takes. Raises ChannelError; UsageError for too long a header."""
        try:
            for data in fragments(kind, payload, **header):
                self.send_raw(data)
        except FrameError as error:
            raise UsageError(f"That is too long for the sandbox: {error}.",
                             next_step="Pass long arguments in a file or on stdin.") from None

    def send_bulk(self, kind: str, payload: bytes, identifier: int) -> None:
        """Send a frame of a connection, after all that others wait to send. Raises ChannelError."""
        self.send_raw(encode(kind, payload, id=identifier), bulk=True)

    def resync(self, timeout: float) -> list[Inbox]:
        """Find the agent's frames in a stream joined half-way; return the runs that go on or whose end nobody saw.

        Raises ChannelError when the agent does not answer within ``timeout`` seconds.
        """
        self.send_raw(RESYNC_PADDING + encode("sync", nonce=self._nonce, credit=WINDOW))
        if not self.ready.wait(timeout) or self.error:
            raise self.error or ChannelError("The sandbox's agent does not answer.",
                                             next_step="Remove it: sbi sessions remove")
        return self._resumed

    # --- conversations ---

    def open(self, window: int = WINDOW) -> Inbox:
        """Return the inbox of a new conversation, which may be ``window`` bytes ahead of its reader."""
        with self._lock:
            self._next_id += 1
            inbox = self._inboxes[self._next_id] = Inbox(self, self._next_id, window)
        if self.error:
            inbox.put(self.error)
        return inbox

    def _adopt(self, header: dict[str, Any]) -> None:
        """Take over the conversations that a former client began. Raises FrameError."""
        numbers = header["requests"]
        if len(numbers) > MOST_RESUMED or not all(type(number) is int and number > 0 for number in numbers):
            raise FrameError("a list of requests that cannot be")
        with self._lock:
            self._next_id = max(header["last"], *numbers, self._next_id)
            for number in dict.fromkeys(numbers):
                self._inboxes[number] = Inbox(self, number)
                self._resumed.append(self._inboxes[number])

    def forget(self, identifier: int) -> None:
        """Drop what still comes for a conversation."""
        with self._lock:
            self._inboxes.pop(identifier, None)

    # --- the reactor's side ---

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._wire.fileno()

    def readable(self) -> None:
        """Take what has arrived and hand it to whom it is for."""
        data = self._wire.receive()
        if data is None:
            self.fail(self._ended())
            return
        self._asked_at = None
        try:
            for frame in self._frames(data):
                self._dispatch(frame)
        except FrameError as error:
            self.fail(ChannelError(f"The sandbox's agent broke the protocol: {error}.",
                                   next_step="The sandbox was ended. Run again for a new one."))

    def _frames(self, data: bytes) -> Iterator[Frame]:
        if self._mark is not None:
            self._seen += data
            at = self._seen.find(self._mark)
            if at < 0:
                self._seen = self._seen[-len(self._mark) :]
                return
            data, self._seen, self._mark = self._seen[at + len(self._mark) :], b"", None
        yield from self._decoder.feed(data)

    def _dispatch(self, frame: Frame) -> None:
        if frame.type in ("ready", "sync_reply"):
            self._begin(frame)
        elif frame.type.startswith("egress_"):
            if self._egress is None:
                raise FrameError("a connection, which nothing allows")
            self._egress.receive(frame)
        elif frame.type != "pong":
            inbox = self._inboxes.get(frame.header["id"])
            if inbox is not None:  # else it was abandoned, and this is the rest of it
                inbox.put(frame)

    def _begin(self, frame: Frame) -> None:
        """Take the agent's first answer, and only the one that is due: a later one could take runs over."""
        if self.answered or frame.type != ("sync_reply" if self._nonce else "ready"):
            raise FrameError(f"a {frame.type} out of turn")
        if frame.type == "sync_reply":
            self._adopt(frame.header)
        elif frame.header["protocol"] != PROTOCOL:
            raise FrameError("another protocol version")
        self.place = frame.header.get("place") or ""
        self.confined = frame.header.get("confined") is not False
        self.answered = True
        self.ready.set()

    def _ended(self) -> ChannelError:
        reason = "" if self.answered else self._wire.diagnostics()
        detail = f": {reason[-500:]}" if reason else ""
        return ChannelError(f"The sandbox's container has ended{detail}.", next_step="Run again for a new sandbox.")

    def tick(self, now: float) -> None:
        """Tell the agent that its client lives, if that is due and nobody is sending just now; end a silent channel."""
        # Counted from a question on: while this process itself stood still (Ctrl-Z), nobody asked anything.
        if self._asked_at is not None and now - self._asked_at > SILENCE_SECONDS:
            self.fail(ChannelError(f"The sandbox has not answered for {SILENCE_SECONDS:.0f} s.",
                                   next_step="Run again for a new one; if that fails as well: sbi doctor"))
        if now - self._pinged_at < self._heartbeat or self.error or not self._turns.try_now():
            return
        try:
            self._pinged_at = now
            self._asked_at = self._asked_at or now
            if not self._cut and writable(self._wire, 0):  # never wait here: every channel would wait with it
                self._wire.send(encode("ping"))
        except HungUp:
            pass  # as above
        except ChannelError as error:
            self.fail(error)
        finally:
            self._turns.leave()

    def fail(self, error: ChannelError) -> None:
        """End the channel; everyone who waits is told why. The first reason stays."""
        with self._lock:
            if self.error:
                return
            self.error = error
            waiting = list(self._inboxes.values())
        # A stream that is open and not read would hold up the removal of a container that floods it.
        self._let_go()
        if self._egress:
            self._egress.close()
        self.ended.set()
        self.ready.set()
        for inbox in waiting:
            inbox.put(error)

    def explain(self, error: ChannelError) -> None:
        """End a channel that never answered, and say it better than its end alone could, which may have come first."""
        self.fail(error)
        if not self.answered:
            self.error = error

    def close(self) -> None:
        """Let go of the stream."""
        self.fail(ChannelError("The sandbox was closed.", next_step="Make a new one."))
        self._let_go()  # again, since another thread may be in the midst of fail

    def _let_go(self) -> None:
        reactor.shared().remove(self)  # first: nobody may wait on a descriptor that is closed
        self._wire.close()


def _egress(channel: Channel, gate: Gate) -> Egress:
    from sandbox_interpreter.sandbox.egress import Egress  # most sandboxes have no way out

    return Egress(channel, gate)
