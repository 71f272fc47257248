"""Whatever an agent answers, true, false or broken, the host raises its own errors only, and always in time."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sandbox_interpreter.agent.frames import AGENT_FRAMES, MAX_PAYLOAD, Frame, encode
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sandbox import deadline, transfer
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.outputs import ExecResult, Failure, InputRequest
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.agents import ready, status
from tests.unit.test_frames import frames

SECONDS = 5.0
"""Longer than any single step may take, on a busy machine too."""

Move = tuple[str, object]

# What an agent may do in answer to one frame of the host's.
MOVES: st.SearchStrategy[Move] = st.one_of(
    st.tuples(st.just("frame"), frames(AGENT_FRAMES)),
    st.tuples(st.just("frame of this run"), frames(AGENT_FRAMES)),
    st.tuples(st.just("frame of this run"), frames(AGENT_FRAMES)),
    st.tuples(st.just("end"), st.integers(-300, 300)),
    st.tuples(st.just("damage"), st.tuples(st.integers(0, 200), st.integers(0, 255))),
    st.tuples(st.just("garbage"), st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("flood"), st.sampled_from([0, 100, MAX_PAYLOAD])),
    st.tuples(st.just("leave"), st.none()),
    st.tuples(st.just("silence"), st.none()),
)


class Moves:
    """An agent that makes the next of its moves for each frame it gets; without any it is honest."""

    def __init__(self) -> None:
        self.waiting: deque[Move] = deque()

    def __call__(self, request: Frame) -> Iterator[bytes]:
        if request.type == "hello":
            yield ready()
        elif request.type == "ping":
            yield encode("pong")
        elif not self.waiting:
            if request.type == "execute_request":
                yield status(request)
        else:
            yield from self._make(*self.waiting.popleft(), Frame("", {"id": request.header.get("id", 0)}))

    def _make(self, kind: str, what: object, request: Frame) -> Iterator[bytes]:
        match kind, what:
            case "frame", (str(name), dict(header), bytes(payload)):
                yield encode(name, payload, **header)
            case "frame of this run", (str(name), dict(header), bytes(payload)):
                own = {"id": request.header["id"]} if "id" in AGENT_FRAMES[name] else {}
                yield encode(name, payload, **(header | own))
            case "end", int(code):
                yield status(request, exit_code=code)
            case "damage", (int(at), int(byte)):
                whole = bytearray(encode("stream", b"some output", id=request.header["id"], name="stdout"))
                whole[at % len(whole)] = byte
                yield bytes(whole)
            case "garbage", bytes(data):
                yield data
            case "flood", int(size):
                yield from [encode("stream", bytes(size), id=request.header["id"], name="stderr")] * 30
            case "leave", None:
                raise SystemExit


class HostileAgents(RuleBasedStateMachine):
    """Does with a sandbox what callers do, while its agent does as it likes."""

    @initialize()
    def open(self) -> None:
        self.patches = contextlib.ExitStack()
        self.patches.enter_context(mock.patch.object(deadline, "OVERTIME_SECONDS", 0.02))
        self.patches.enter_context(mock.patch.object(deadline, "OVERTIME_BYTES", 1_000_000))
        self.patches.enter_context(mock.patch.object(transfer, "ANSWER_SECONDS", 0.03))
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "in").write_bytes(bytes(100_000))
        self.agent = Moves()
        self.notices: list[str] = []
        self.box = Sandbox(engine=ScriptedEngine(self.agent), policy=Policy(grace=0.005, timeout=0.02),
                           notify=self.notices.append)
        self.running: Execution | None = None

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.box.close()
            shutil.rmtree(self.folder)
            self.patches.close()

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Let our own errors pass, and nothing else; and not for long."""
        began = time.monotonic()
        try:
            yield
        except SandboxInterpreterError as error:
            self.notices.append(error.report())
        assert time.monotonic() - began < SECONDS

    @rule(moves=st.lists(MOVES, max_size=6))
    def plan(self, moves: list[Move]) -> None:
        self.agent.waiting.extend(moves)

    @rule(script=st.booleans())
    def begin(self, script: bool) -> None:
        with self.step():
            self.running = self.box.execute("python", "1", script=Script() if script else None,
                                            stdin="pipe" if script else "ask", active_line=True)

    @precondition(lambda self: self.running is not None)
    @rule(answers=st.booleans())
    def read_to_the_end(self, answers: bool) -> None:
        assert self.running is not None
        running, self.running = self.running, None
        with self.step():
            for output in running:
                if isinstance(output, InputRequest) and answers:
                    running.reply("an answer")
                if isinstance(output, Failure):
                    output.traceback.encode()
            assert isinstance(running.result, ExecResult)
            assert 0 <= running.result.exit_code <= 255
            assert running.result.duration_ms >= 0

    @precondition(lambda self: self.running is not None)
    @rule()
    def read_a_little_and_leave(self) -> None:
        assert self.running is not None
        running, self.running = self.running, None
        with self.step():
            next(iter(running), None)
            running.close()
            assert running.result.exit_code <= 255

    @precondition(lambda self: self.running is not None)
    @rule(hard=st.booleans())
    def interrupt(self, hard: bool) -> None:
        assert self.running is not None
        with self.step():
            self.running.interrupt(hard=hard)

    @precondition(lambda self: self.running is not None)
    @rule(data=st.binary(max_size=50))
    def feed(self, data: bytes) -> None:
        assert self.running is not None
        with self.step():
            self.running.send_stdin(data)
            self.running.close_stdin()

    @rule()
    def upload(self) -> None:
        with self.step():
            self.box.upload(self.folder / "in", "x")

    @rule()
    def download(self) -> None:
        with self.step():
            self.box.download("**", self.folder / "out")

    @rule()
    def reset(self) -> None:
        with self.step():
            self.box.reset()

    @invariant()
    def no_fault_of_ours_was_met(self) -> None:
        assert not any("fault of sbi" in notice for notice in getattr(self, "notices", []))
        assert threading.active_count() < 200


HostileAgents.TestCase.settings = settings(max_examples=40, stateful_step_count=12, deadline=None, derandomize=True)
TestHostileAgents = HostileAgents.TestCase
