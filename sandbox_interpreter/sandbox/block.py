"""One block of code as a command of its own, in a container without an agent: its credit, its ladder, its end."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from sandbox_interpreter.agent.frames import Frame, cost
from sandbox_interpreter.engines.base import Command, RunsCommands
from sandbox_interpreter.errors import ChannelError, SandboxInterpreterError
from sandbox_interpreter.sandbox import block_script

Send = Callable[..., None]
Signal = Literal["INT", "TERM", "KILL"]
LADDER: tuple[Signal, ...] = ("INT", "TERM", "KILL")
"""As the agent climbs it: the first lets a program clean up, the last ends it."""
TICK = 0.05
"""Seconds between two looks at the clock and at whoever may have interrupted."""
QUIET = 0.5
"""Seconds without output after which the engine is asked whether the program has ended: a child may hold stdout."""
PIECE = 64 * 1024
KILLED = 137
COMMAND_SECONDS = 10.0
_OOM_KILLS = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)


class Block:
    """A run under way. ``send`` takes a frame of it to the host; ``ended`` is called before the last one goes."""

    def __init__(self, container: RunsCommands, request: Frame, script: str, folder: str, former: str, *, grace: float,
                 send: Send, ended: Callable[[], None]) -> None:
        self.id: int = request.header["id"]
        self._container = container
        self._script = script.encode("utf-8", "surrogateescape")
        self._folder, self._former = folder, former
        self._send, self._ended = send, ended
        self._grace = grace
        self._credit: int = request.header["credit"]
        self._started = time.monotonic()
        self._due = self._started + request.header["timeout"] if request.header["timeout"] else None
        self._pipes = request.header["stdin"] == "pipe"
        self._step = 0
        self._limit: str | None = None
        self._interrupted = False
        self._changed = threading.Condition()
        self._command: Command | None = None
        threading.Thread(target=self._run, name="sbi-block", daemon=True).start()

    # --- what the host says meanwhile ---

    def grant(self, size: int) -> None:
        """Take more credit."""
        with self._changed:
            self._credit += size
            self._changed.notify_all()

    def interrupt(self, *, hard: bool) -> None:
        """Begin the ladder of signals, or take its next step."""
        with self._changed:
            self._interrupted = True
            self._step = len(LADDER) - 1 if hard else self._step
            self._due = time.monotonic()
            self._changed.notify_all()

    def feed(self, data: bytes, *, eof: bool) -> None:
        """Pass bytes to the program's stdin, and grant the host as many again."""
        with self._changed:
            self._changed.wait_for(lambda: self._command is not None, COMMAND_SECONDS)
        if self._command is None or not self._pipes:
            return
        try:
            self._command.send(data)
        except ChannelError:
            return  # it has ended, or does not read
        if data:
            self._send("credit", id=self.id, bytes=len(data))
        if eof:
            self._command.close_stdin()

    # --- the run ---

    def _run(self) -> None:
        exit_code = 1
        try:
            exit_code = self._follow(self._begin())
        except SandboxInterpreterError as error:
            self._send("error", id=self.id, ename="CommandFailed", evalue=str(error)[:500])
        finally:  # whatever happens, whoever waits is told
            if self._command:
                self._command.close()
            self._ended()  # first: once the host knows, it may ask for the next
            self._send("status", id=self.id, exit_code=exit_code & 0xFF, limit=self._limit,
                       interrupted=self._interrupted,
                       duration_ms=round((time.monotonic() - self._started) * 1000, 3))

    def _begin(self) -> Command:
        words = ("sh", "-c", block_script.BEGIN, "sbi", self._folder, str(len(self._script)), self._former)
        command = self._container.command(words)
        command.send(self._script)
        if not self._pipes:
            command.close_stdin()
        with self._changed:
            self._command = command
            self._changed.notify_all()
        return command

    def _follow(self, command: Command) -> int:
        """Return the exit code, having passed on all output that came before the end."""
        last = time.monotonic()
        is_open = True
        while True:
            self._climb_if_due()
            if not self._may_send():
                continue
            try:
                output = command.receive(min(self._credit, PIECE), TICK) if is_open else None
            except EOFError:
                is_open, output = False, None
            if output:
                last = time.monotonic()
                self._pass_on(output.is_error, output.data)
            elif not is_open or time.monotonic() - last > QUIET or self._step:
                last = time.monotonic()
                if (code := command.exit_code()) is not None:
                    self._drain(command, is_open=is_open)
                    return self._with_reason(code)
                time.sleep(0 if is_open else TICK / 5)

    def _may_send(self) -> bool:
        """Tell whether there is credit; wait for a tick where there is none."""
        with self._changed:
            return self._changed.wait_for(lambda: self._credit > 0, TICK)

    def _pass_on(self, is_error: bool, data: bytes) -> None:
        with self._changed:
            self._credit -= cost(data)
        self._send("stream", data, id=self.id, name="stderr" if is_error else "stdout")

    def _drain(self, command: Command, *, is_open: bool) -> None:
        """Pass on what stood in the pipes when the program ended; a child that goes on writing is not waited for."""
        end = time.monotonic() + self._grace
        while is_open and time.monotonic() < end:
            if not self._may_send():
                continue
            try:
                output = command.receive(min(self._credit, PIECE), TICK)
            except EOFError:
                return
            if output is None:
                return
            self._pass_on(output.is_error, output.data)

    def _with_reason(self, code: int) -> int:
        if code == KILLED and not self._step and (found := _OOM_KILLS.search(self._said(block_script.COUNTERS))):
            self._limit = "memory" if int(found[1]) else self._limit
        return code

    # --- interrupt and timeout: one ladder ---

    def _climb_if_due(self) -> None:
        with self._changed:
            if self._due is None or time.monotonic() < self._due:
                return
            if not self._step and not self._interrupted:
                self._limit = "time"
            step = min(self._step, len(LADDER) - 1)
            self._step = step + 1
            self._due = time.monotonic() + self._grace
        self._said(block_script.SIGNAL, LADDER[step], self._folder)

    def _said(self, script: str, *arguments: str) -> bytes:
        """Return what a short script prints, if it does so in time."""
        command = self._container.command(("sh", "-c", script, "sbi", *arguments))
        end = time.monotonic() + COMMAND_SECONDS
        said = bytearray()
        try:
            while time.monotonic() < end and len(said) < PIECE:
                if output := command.receive(PIECE, TICK):
                    said += output.data
        except EOFError:
            pass
        finally:
            command.close()
        return bytes(said)


def refused(request: Frame, send: Send, reason: str, exit_code: int) -> None:
    """End a request that cannot be run."""
    number: Mapping[str, Any] = {"id": request.header["id"]}
    send("error", f"{reason}\n".encode(), **number, ename="NoPython", evalue=reason)
    send("status", **number, exit_code=exit_code, limit=None, interrupted=False, duration_ms=0.0)
