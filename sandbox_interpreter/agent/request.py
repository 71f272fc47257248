"""One request to run code: its credit, its deadline, its ladder of signals, and its end."""

from __future__ import annotations

from collections import deque

from . import signals
from .frames import cost
from .kernel import now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .frames import Frame
    from .kernel import Kernel
    from .link import HostLink

SECOND_LOOK = 0.05  # seconds after a SIGINT, at which whoever it has not reached is looked for
KEPT_FOR_CLIENT = 512 * 1024  # bytes of newest output; within the slack that the host allows beyond its credit


class Request:
    """What the host asked for, and how far it is."""

    def __init__(self, link: HostLink, frame: Frame, grace: float) -> None:
        header = frame.header
        self.id: int = header["id"]
        self.language: str = header["language"]
        self.mode: str = header["mode"]
        self.name: str = header["name"]
        self.argv: list[str] = [str(argument) for argument in header["argv"]]
        self.stdin: str = header["stdin"]
        self.active_line: bool = header["active_line"]
        self.code = frame.payload
        self.limit: str | None = None
        self.interrupted = False
        self._link = link
        self._credit: int = header["credit"]
        self._sent: deque[tuple[str, bytes, dict[str, Any]]] = deque()  # not yet confirmed by credit
        self._missed: deque[tuple[str, bytes, dict[str, Any]]] = deque()  # written while there was no client
        self._missed_size = 0
        self._grace = grace
        self._started = now()
        self._step = 0
        self._looks_again = False
        self.due: float | None = self._started + header["timeout"] if header["timeout"] else None

    # --- output, credit, and what a lost client has missed ---

    def allowance(self, most: int) -> int:
        """Return how many of ``most`` bytes may be sent now; a program without a client must not stand still."""
        return most if self._link.lost else max(min(most, self._credit), 0)

    def may_send(self) -> bool:
        """Tell whether a frame may go: any may that begins within the credit."""
        return self._credit > 0 or self._link.lost

    def grant(self, size: int) -> None:
        """Take more credit from the host; it says at the same time how much has arrived."""
        self._credit += size
        while self._sent and size >= cost(self._sent[0][1]):
            size -= cost(self._sent.popleft()[1])

    def send(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        """Send one frame of this request, or keep it while there is no client."""
        if self._link.lost:
            self._keep(kind, payload, header)
            return
        self._credit -= cost(payload)
        self._sent.append((kind, payload, header))
        self._link.send(kind, payload, id=self.id, **header)

    def _keep(self, kind: str, payload: bytes, header: dict[str, Any]) -> None:
        if kind == "active_line":
            return  # where a program once was is nothing to catch up with
        self._missed.append((kind, payload, header))
        self._missed_size += cost(payload)
        while self._missed_size > KEPT_FOR_CLIENT and len(self._missed) > 1:
            self._missed_size -= cost(self._missed.popleft()[1])

    def send_stream(self, name: str, data: bytes) -> None:
        """Send bytes that the program wrote."""
        self.send("stream", data, name=name)

    def catch_up(self) -> None:
        """Send what was kept while the client was lost."""
        missed, self._missed, self._missed_size = self._missed, deque(), 0
        for kind, payload, header in missed:
            self.send(kind, payload, **header)

    def replay(self, credit: int) -> None:
        """Send to a new client everything that no former one has confirmed, against a new ``credit``."""
        self._credit = credit
        self._missed.extendleft(reversed(self._sent))
        self._sent.clear()
        self.catch_up()

    def send_credit(self, size: int) -> None:
        """Let the host send ``size`` more bytes of stdin."""
        self.send("credit", bytes=size)

    # --- interrupt and timeout: one ladder ---

    def interrupt(self, kernel: Kernel, *, hard: bool = False) -> None:
        """Begin the ladder of signals, or take its next step if it has begun."""
        self.interrupted = True
        self._climb(kernel, to_end=hard)

    def tick(self, kernel: Kernel) -> None:
        """Act if the deadline, or the grace after a step, has passed."""
        if self.due is None or now() < self.due:
            return
        if self._looks_again:
            self._looks_again = False
            self.due += max(self._grace - SECOND_LOOK, 0.0)
            kernel.look_again()
            return
        if self._step == 0:
            self.limit = "time"
        self._climb(kernel)

    def _climb(self, kernel: Kernel, *, to_end: bool = False) -> None:
        step = len(signals.LADDER) - 1 if to_end else min(self._step, len(signals.LADDER) - 1)
        kernel.signal(signals.LADDER[step])
        self._step = step + 1
        self._looks_again = step == 0
        self.due = now() + (SECOND_LOOK if step == 0 else self._grace)

    def finish(self, exit_code: int) -> None:
        """Tell the host that the kernel is idle again; this ends the request."""
        self.send("status", exit_code=exit_code, limit=self.limit, interrupted=self.interrupted,
                  duration_ms=round((now() - self._started) * 1000, 3))
