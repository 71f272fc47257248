"""One sandbox on its node, and what the driver may ask of it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import BinaryIO

from sandbox_interpreter.cluster.orders import PIECE, Piece, Taken
from sandbox_interpreter.cluster.relay import Relay
from sandbox_interpreter.errors import SandboxClosed
from sandbox_interpreter.sandbox.gate import Decision
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sandbox.submit import Script
from sandbox_interpreter.sessions.egress_log import MOST_EVENTS

ASKED = frozenset({"start", "execute", "take", "interrupt", "abandon", "upload", "files", "read", "more", "wipe",
                   "reset", "close"})
"""What the driver may ask for by name."""
_MOST_NOTICES = 100


class Lodger:
    """A sandbox, its runs, and its files on their way. Thread-safe as far as the sandbox is."""

    def __init__(self, make: Callable[[Lodger], Sandbox]) -> None:
        """``make`` is given this object, to tell it notices and decisions."""
        self._lock = threading.Lock()
        self._notices: list[str] = []
        self._decisions: list[Decision] = []
        self._decided = 0
        self._numbers = itertools.count(1)
        self._relays: dict[int, Relay] = {}
        self._readings: dict[int, Iterator[bytes]] = {}
        self._box = make(self)

    # --- what the sandbox tells ---

    def notify(self, text: str) -> None:
        """Keep a notice for the driver."""
        with self._lock:
            if len(self._notices) < _MOST_NOTICES:
                self._notices.append(text)

    def record(self, decision: Decision) -> None:
        """Keep a decision for the driver, one more than it writes down, so that it can say that there were more."""
        with self._lock:
            self._decided += 1
            if self._decided <= MOST_EVENTS + 1:
                self._decisions.append(decision)

    # --- what the driver asks ---

    def start(self) -> None:
        """Start the container, unless it runs."""
        self._box.start()

    def execute(self, language: str, code: str, script: Script | None, timeout: float | None,
                active_line: bool) -> int:
        """Return the number of a run that has begun."""
        execution = self._box.execute(language, code, script=script, timeout=timeout, active_line=active_line)
        number = next(self._numbers)
        self._relays[number] = Relay(execution)
        return number

    def take(self, number: int, seconds: float) -> Taken:
        """Return what a run has said since the last time."""
        taken = self._relay(number).take(seconds)
        if taken.result:
            self._relays.pop(number, None)
        with self._lock:
            decisions, self._decisions = self._decisions, []
            notices, self._notices = self._notices, []
        return Taken(taken.outputs, taken.result, tuple(decisions), tuple(notices))

    def interrupt(self, number: int, hard: bool) -> None:
        """Ask a run to stop; one that has ended is no error."""
        if relay := self._relays.get(number):
            relay.interrupt(hard=hard)

    def abandon(self, number: int) -> None:
        """Interrupt a run, and forget it once it has ended."""
        if relay := self._relays.get(number):
            relay.abandon()
            self._relays.pop(number, None)

    def _relay(self, number: int) -> Relay:
        try:
            return self._relays[number]
        except KeyError:
            raise SandboxClosed("That run is over.", next_step="Run it again.") from None

    def upload(self, pieces: BinaryIO, target: str) -> None:
        """Copy what the open file ``pieces`` gives into the sandbox."""
        self._box.upload(pieces, target)

    def files(self, pattern: str) -> list[str]:
        """Return the names of the workspace's files that match a glob."""
        return self._box.files(pattern)

    def read(self, name: str) -> Piece:
        """Return the first piece of a file of the workspace."""
        number = next(self._numbers)
        self._readings[number] = _pieces(self._box, name)
        return self.more(number)

    def more(self, number: int) -> Piece:
        """Return the next piece of a file."""
        pieces = self._readings.get(number)
        data = next(pieces, b"") if pieces else b""
        if len(data) >= PIECE:
            return Piece(data, number)
        self._readings.pop(number, None)
        return Piece(data)

    def wipe(self) -> None:
        """Forget what a task has left: its kernels' state, its workspace."""
        self._box.wipe()

    def reset(self) -> None:
        """Forget every kernel's state."""
        self._box.reset()

    def close(self, wait: bool = True) -> None:
        """End the container; harmless when repeated."""
        self._box.close(wait=wait)


def _pieces(box: Sandbox, name: str) -> Iterator[bytes]:
    """Yield a file in pieces of one size, the last one shorter."""
    kept = bytearray()
    for data in box.read(name):
        kept += data
        while len(kept) >= PIECE:
            yield bytes(kept[:PIECE])
            del kept[:PIECE]
    yield bytes(kept)
