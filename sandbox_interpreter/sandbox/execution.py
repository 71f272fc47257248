"""One run of code, as it happens: iterate for its outputs, then read its result."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

from sandbox_interpreter.agent.frames import Frame, FrameError
from sandbox_interpreter.errors import ChannelError
from sandbox_interpreter.sandbox.assembly import Assembler
from sandbox_interpreter.sandbox.deadline import Deadline
from sandbox_interpreter.sandbox.inbox import Inbox
from sandbox_interpreter.sandbox.outputs import ExecResult, Failure, Limit, Output, Stream
from sandbox_interpreter.sandbox.questions import Questions

TIMED_OUT = 124  # as coreutils' timeout reports it
KILLED = 137  # 128 + SIGKILL
STDIN_WINDOW = 256 * 1024
"""Bytes of stdin that may wait in the sandbox for a program that does not read."""


class Execution:
    """Iterate it for outputs until the kernel is idle; ``result`` is there afterwards.

    ``close`` (or leaving a ``with``) abandons the run: it is interrupted, and what it still says is dropped.
    """

    def __init__(self, inbox: Inbox, end: Callable[[ChannelError], object], *, timeout: float, grace: float,
                 output_limit: int = 0, questions: Questions | None = None) -> None:
        """Read ``inbox``. ``end`` ends the container at once; it raises EngineUnreachable when its engine is gone.

        ``questions`` that come up meanwhile are put by whoever iterates.
        """
        self._inbox = inbox
        self._questions = questions or Questions()
        self._end_container = end
        self._assembler = Assembler()
        self._output_left = output_limit or None
        self._limit: Limit | None = None
        self._started = time.monotonic()
        self._deadline = Deadline(timeout=timeout, grace=grace)
        self._timed = bool(timeout)
        self._interrupted = False
        self._stdin_room = STDIN_WINDOW
        self._stdin_changed = threading.Condition()
        self._result: ExecResult | None = None
        self.when_ended: Callable[[ExecResult], object] | None = None
        """Called with the result once there is one, however the run ended."""
        self.afterwards: Callable[[], object] | None = None
        """Called behind the last output, by whoever iterates."""
        self._outputs = self._receive()

    @property
    def result(self) -> ExecResult:
        """Return how the run ended. Raises RuntimeError while it is still going on."""
        if self._result is None:
            raise RuntimeError("the run has not ended; iterate over it first")
        return self._result

    @property
    def is_over(self) -> bool:
        """Tell whether there is a result."""
        return self._result is not None

    def __iter__(self) -> Iterator[Output]:
        """Return the one iterator over this run's outputs. Iterating raises EngineUnreachable."""
        return self._outputs

    def __enter__(self) -> Execution:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- talking to the run ---

    def interrupt(self, *, hard: bool = False) -> None:
        """Ask the program to stop: SIGINT, then the rest of the ladder if it does not; ``hard`` kills at once."""
        if self._result is None:
            self._interrupted = True
            self._questions.drop()
            self._deadline.told_to_stop()
            self._inbox.wake()  # whoever iterates may have begun to wait for ever
            self._say("interrupt_request", hard=hard)

    def reply(self, text: str) -> None:
        """Answer an input request."""
        self._say("input_reply", text.encode("utf-8", "replace"))

    def send_stdin(self, data: bytes) -> None:
        """Pass bytes to the program's stdin, waiting while it does not read; dropped once the run has ended."""
        view = memoryview(data)
        while view and self._result is None:
            with self._stdin_changed:
                self._stdin_changed.wait_for(lambda: self._stdin_room > 0 or self._result is not None)
                size = min(self._stdin_room, len(view))
                self._stdin_room -= size
            self._say("stdin", bytes(view[:size]), eof=False)
            view = view[size:]

    def close_stdin(self) -> None:
        """Let the program see the end of its stdin."""
        self._say("stdin", b"", eof=True)

    def _say(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        if self._result is None:
            with contextlib.suppress(ChannelError):  # whoever iterates is told
                self._inbox.send(kind, payload, **header)

    def close(self) -> None:
        """Abandon the run: interrupt it and wait, for the ladder's time at most, until the kernel is idle."""
        try:
            self.interrupt()
            for _ in self._receive():  # a new iterator: the caller's may stand in the middle of a yield
                pass
        finally:
            self._inbox.close()

    # --- what comes back ---

    def _receive(self) -> Iterator[Output]:
        with self._questions.read_by(self._inbox.wake):
            yield from self._read()
        if self.afterwards:
            self.afterwards()

    def _read(self) -> Iterator[Output]:
        while self._result is None:
            self._questions.attend()
            try:
                frame = self._deadline.next(self._inbox)
                if frame is None:
                    if self._deadline.passed:
                        raise self._overdue()
                    continue
                output = self._take(frame)
            except (ChannelError, FrameError) as error:
                yield self._lost(error)
                return
            if output is not None:
                yield output
            self._inbox.consumed(frame)

    def _take(self, frame: Frame) -> Output | None:
        if frame.type == "status":
            self._end(frame.header)
        elif frame.type == "credit":
            self._change_stdin(frame.header["bytes"])
        output = self._assembler.output(frame)
        if isinstance(output, Stream) and self._output_left is not None:
            self._count(len(output.data))
        return output

    def _count(self, size: int) -> None:
        """Stop a run that writes more than it may; what is too much is still shown."""
        assert self._output_left is not None
        self._output_left -= size
        if self._output_left < 0 and self._limit is None:
            self._limit = "output"
            self.interrupt()

    def _overdue(self) -> ChannelError:
        """Return why the sandbox is ended: its agent did not end the run."""
        if self._timed and not self._interrupted:
            self._limit = "time"
        return ChannelError("The code did not stop when it was told to, so its sandbox was ended.",
                            next_step="Its variables are lost, its files are kept. The next run gets a new sandbox.")

    def _lost(self, error: ChannelError | FrameError) -> Failure:
        """End the run of a sandbox that is no more; the code's own doing, unless it never ran. Raises ChannelError."""
        if isinstance(error, FrameError):
            error = ChannelError(f"The sandbox's agent broke the protocol: {error}.", next_step="Run it again.")
        told = getattr(error, "limit", None) or None
        self._end({"exit_code": KILLED, "limit": told, "interrupted": self._interrupted,
                   "duration_ms": (time.monotonic() - self._started) * 1000})
        self._end_container(error)
        if not self._inbox.channel.answered:
            raise error  # it never started, so no code can have ended it
        return Failure("SandboxEnded", str(error), error.report() + "\n")

    def _end(self, status: dict[str, Any]) -> None:
        """Take the run's end as the agent tells it, made to fit what the host knows."""
        told: Limit | None = status["limit"] if status["limit"] in get_args(Limit) else None
        limit = self._limit or told
        code = TIMED_OUT if limit == "time" else KILLED if limit == "memory" else status["exit_code"] & 0xFF
        self._result = ExecResult(code, max(float(status["duration_ms"]), 0.0), limit, status["interrupted"])
        self._change_stdin(0)
        self._inbox.close()
        self._inbox.wake()  # another thread may iterate as well
        if self.when_ended:
            self.when_ended(self._result)

    def _change_stdin(self, room: int) -> None:
        with self._stdin_changed:
            self._stdin_room += max(room, 0)
            self._stdin_changed.notify_all()
