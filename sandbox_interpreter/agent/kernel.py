"""One kernel as the agent sees it: a child process, its two output pipes, its control pipes, and its request.

Control never travels in user output: a kernel tells what it has to tell on a descriptor of its own. Before any such
frame goes on, everything that stood in the output pipes at that moment goes first, so the order is the program's
order, while a background child that keeps writing delays nothing.
"""

from __future__ import annotations

import os
import time
from collections import deque

from . import signals
from .frames import Decoder, Frame, FrameError, cost, fragments
from .permit import Permit
from .poller import NOTHING, READ, Outbox
from .process import spawn, waiting_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .main import Agent
    from .request import Request

READ_SIZE = 256 * 1024
IDLE_KEPT = 256 * 1024
KEPT_PIECE = 16 * 1024

# What a kernel may say on its control pipe, with the fields that must be there.
KERNEL_FRAMES: dict[str, dict[str, tuple[type, ...]]] = {
    "display_data": {"parts": (dict,), "result": (bool,), "count": (int,)},
    "error": {"ename": (str,), "evalue": (str,)},
    "input_request": {"prompt": (str,), "password": (bool,)},
    "active_line": {"line": (int, type(None))},
    "missed": {},
    "done": {"exit_code": (int,), "limit": (str, type(None))},
}


class Kernel:
    """A child process that runs requests, one at a time."""

    ends_with_request = False
    guarded = False  # it says when it can be interrupted

    def __init__(self, agent: Agent, language: str) -> None:
        self.agent = agent
        self.language = language
        self.once = False  # a kernel that keeps state, made for one script alone
        self.request: Request | None = None
        self.pid = 0
        self.control = -1
        self.streams: dict[int, str] = {}
        self.outbox: Outbox | None = None
        self.stdin: Outbox | None = None
        self.permit: Permit | None = None
        self._paused = False
        self._pending: deque[Frame] = deque()
        self._barrier: dict[int, int] | None = None
        self._decoder = Decoder(KERNEL_FRAMES, strict=True)
        self._kept: deque[tuple[str, bytearray]] = deque()
        self._kept_size = 0

    # --- the process ---

    def spawn(self, child: Callable[[], None], *, stdin: bool = False) -> None:
        """Start the process, in which ``child`` runs. Raises OSError, having begun nothing."""
        process = spawn(child, self.agent.environment, stdin=stdin, guarded=self.guarded)
        self.pid, self.control = process.pid, process.control
        self.streams = {process.out: "stdout", process.err: "stderr"}
        self.outbox = Outbox(self.agent.poller, process.tell)
        if process.stdin >= 0:
            self.stdin = Outbox(self.agent.poller, process.stdin, self._written)
        if self.guarded:
            self.permit = Permit(self.agent.poller, process.permit, self.interrupt)
        self.agent.kernels[self.pid] = self
        self._listen()

    def _listen(self) -> None:
        poller = self.agent.poller
        poller.listen(self.control, self.read_control)
        for descriptor in self.streams:
            poller.listen(descriptor, lambda descriptor=descriptor: self.read_stream(descriptor))  # type: ignore[misc]  # binds the loop's value

    def signal(self, number: int) -> None:
        """Send a signal to the kernel's whole process group; SIGINT when the kernel can take it."""
        if number == signals.SIGINT and self.permit:
            self.permit.use()
        else:
            self._signal_all(number)

    def interrupt(self) -> None:
        """Interrupt the whole process group, now that the kernel can take it."""
        self._signal_all(signals.SIGINT)

    def look_again(self) -> None:
        """Find those whom a SIGINT has missed; only some kinds of kernel have any."""

    def _signal_all(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # It has not made its group yet, or has a child in it that is not ours to signal: then itself only.
            self._signal_alone(number, self.pid)

    def _signal_alone(self, number: int, pid: int) -> None:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # it has ended, which is noticed elsewhere, or is not ours to signal

    def end(self) -> None:
        """Kill the process group and let go of every descriptor."""
        self.signal(signals.SIGKILL)
        self.agent.kernels.pop(self.pid, None)
        for descriptor in (self.control, *self.streams):
            self.agent.poller.forget(descriptor)
            os.close(descriptor)
        for outbox in (self.outbox, self.stdin):
            if outbox:
                outbox.close(drop=True)
        if self.permit:
            self.permit.close()
        self.permit = None
        self.control, self.streams = -1, {}

    # --- credit ---

    def pause(self) -> None:
        """Stop reading, since there is no credit left; the kernel's own writes block then."""
        self._set_paused(True, NOTHING)

    def resume(self) -> None:
        """Read again."""
        self._set_paused(False, READ)
        self.pump()

    def _set_paused(self, paused: bool, events: int) -> None:
        if self._paused != paused:
            self._paused = paused
            for descriptor in (self.control, *self.streams):
                self.agent.poller.change(descriptor, events)

    # --- the request ---

    def begin(self, request: Request) -> None:
        """Run a request; what was written since the last one ended goes first."""
        self.request = request
        if self.permit:
            self.permit.drop()
        kept, self._kept, self._kept_size = self._kept, deque(), 0
        for name, data in kept:
            request.send_stream(name, bytes(data))
        try:
            self.submit(request)
        except OSError:  # no space or no process is left; the next request must not find this one in its way
            self.request = None
            raise

    def submit(self, request: Request) -> None:
        """Hand the request's code to the process; each kind of kernel has its own way."""

    def _seen(self, frame: Frame) -> None:
        """Let a display return: its place is known, and what is written from now on comes behind it."""
        if frame.type == "display_data" and not frame.header.get("more"):
            self.say("seen", count=frame.header["count"])

    def say(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        """Send a message over the control pipe, to kernels that read frames there."""
        assert self.outbox is not None
        for data in fragments(kind, payload, **header):
            self.outbox.push(data)

    def reply(self, line: bytes) -> None:
        """Answer an input request, for kernels that make any."""

    def feed(self, data: bytes, *, eof: bool) -> None:
        """Pass bytes to the program's stdin, if it has one."""
        if self.stdin:
            self.stdin.push(data)
            if eof:
                self.stdin.close()

    def _written(self, size: int) -> None:
        """Grant the host credit for stdin that the program's pipe has taken."""
        if self.request:
            self.request.send_credit(size)

    def read_control(self) -> bool:
        """Take what the kernel said; tell whether there may be more. Broken frames end the kernel."""
        try:
            data = os.read(self.control, READ_SIZE)
        except BlockingIOError:
            return False
        if not data:
            self.agent.poller.forget(self.control)
            return False
        try:
            self._pending.extend(self.decode(data))
        except FrameError:
            self.signal(signals.SIGKILL)
            return False
        self.pump()
        return True

    def decode(self, data: bytes) -> list[Frame]:
        """Return the frames that bytes from the control descriptor complete."""
        return list(self._decoder.feed(data))

    def exited(self, status: int) -> None:
        """Take note that the process ended with wait status ``status``."""
        # Bounded: a grandchild that inherited the pipe could write for ever.
        for _ in range(64):
            if not self.read_control():
                break
        self._pending.append(Frame("exit", {"code": os.waitstatus_to_exitcode(status)}))
        self.pump()

    def read_stream(self, descriptor: int) -> None:
        """Move what stands in an output pipe on, as far as credit goes."""
        if self._pending:
            self.pump()
        elif self.request is None:
            self._keep(descriptor)
        else:
            self._forward(descriptor, READ_SIZE)

    def pump(self) -> None:
        """Send what the kernel said, each frame after the output that was written before it."""
        while self._pending:
            if self._barrier is None:
                self._barrier = {descriptor: waiting_bytes(descriptor) for descriptor in self.streams}
                self._seen(self._pending[0])
            if self.request is not None and not self._drain(self._barrier):
                return
            frame = self._pending[0]
            if self.request is not None and not self.request.may_send():
                self.pause()
                return
            self._pending.popleft()
            self._barrier = None
            try:
                self.agent.heard(self, frame)
            except FrameError:  # its header was as long as can be, and is longer with the request's identifier
                self.signal(signals.SIGKILL)

    def _drain(self, barrier: dict[int, int]) -> bool:
        """Forward the bytes that stood before the next frame; tell whether that is done."""
        for descriptor, left in barrier.items():
            while left:
                moved = self._forward(descriptor, left)
                if moved == 0:
                    return False
                left = max(left - moved, 0) if moved > 0 else 0
                barrier[descriptor] = left
        return True

    def _forward(self, descriptor: int, most: int) -> int:
        """Send up to ``most`` bytes of a stream; return how many, 0 for no credit, -1 at its end."""
        request = self.request
        assert request is not None
        size = request.allowance(min(most, READ_SIZE))
        if not size:
            self.pause()
            return 0
        data = self._read(descriptor, size)
        if data:
            request.send_stream(self.streams[descriptor], data)
        return len(data) or -1

    def _read(self, descriptor: int, size: int) -> bytes:
        try:
            data = os.read(descriptor, size)
        except BlockingIOError:
            return b""
        if not data:
            self.agent.poller.forget(descriptor)
        return data

    def _keep(self, descriptor: int) -> None:
        """Keep the newest output that no request asked for; a background child must not block on a full pipe."""
        data = self._read(descriptor, READ_SIZE)
        if not data:
            return
        name = self.streams[descriptor]
        if self._kept and self._kept[-1][0] == name and len(self._kept[-1][1]) < KEPT_PIECE:
            self._kept[-1][1].extend(data)  # one piece for each write of a dripping child would be a flood of frames
            self._kept_size += len(data)
        else:
            self._kept.append((name, bytearray(data)))
            self._kept_size += cost(data)
        while self._kept_size > IDLE_KEPT:
            self._kept_size -= cost(self._kept.popleft()[1])


def now() -> float:
    """Return seconds of running time: CLOCK_MONOTONIC stands still while the machine sleeps."""
    return time.monotonic()
