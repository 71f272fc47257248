"""A run against agents that lie, flood, trickle or fall silent ends in time, with a result, and nothing leaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox_interpreter.agent.frames import Frame, encode
from sandbox_interpreter.sandbox import deadline
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.policy import Policy
from tests.support.agents import echo, endless, frames, status, stream
from tests.support.boxes import Open, outputs_of, scripted_boxes
from tests.support.runs import finish, run


@pytest.fixture
def box_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    with scripted_boxes(monkeypatch) as make:
        yield make


# --- ends ---


@pytest.mark.parametrize(("told", "code", "duration"), [
    ({"exit_code": 2**53}, 0, 1.5), ({"exit_code": -1}, 255, 1.5), ({"exit_code": 256 + 7}, 7, 1.5),
    ({"duration_ms": -5}, 0, 0.0), ({"duration_ms": 2**53}, 0, float(2**53)),
    ({"limit": "time", "exit_code": 0}, 124, 1.5), ({"limit": "memory", "exit_code": 0}, 137, 1.5),
    ({"limit": "no such limit", "exit_code": 3}, 3, 1.5),
])
def test_an_absurd_status_is_made_to_fit(box_of: Open, told: dict[str, Any], code: int, duration: float) -> None:
    result = run(box_of(execute_request=lambda request: [status(request, **told)]), "python", "1").result
    assert (result.exit_code, result.duration_ms) == (code, duration)
    assert result.limit in (None, "time", "memory")


@pytest.mark.parametrize("told", [
    '"exit_code":0,"limit":null,"duration_ms":NaN,"interrupted":false',
    '"exit_code":0,"limit":null,"duration_ms":1e999,"interrupted":false',
    '"exit_code":' + "9" * 4000 + ',"limit":null,"duration_ms":1,"interrupted":false',
    '"exit_code":"0","limit":null,"duration_ms":1,"interrupted":false',
    '"exit_code":0,"limit":["time"],"duration_ms":1,"interrupted":false',
])
def test_a_status_of_wrong_types_ends_the_sandbox_with_137(box_of: Open, told: str) -> None:
    def answer(request: Frame) -> list[bytes]:
        header = f'{{"type":"status","id":{request.header["id"]},{told}}}'.encode()
        return [b"sbi\x01" + len(header).to_bytes(4, "big") + bytes(4) + header + b"\xffend"]

    box = box_of(execute_request=answer)
    done = run(box, "python", "1")
    assert (done.result.exit_code, done.failure.name) == (137, "SandboxEnded")
    assert "broke the protocol" in done.failure.value


def test_nothing_comes_after_the_end_of_a_run(box_of: Open) -> None:
    box = box_of(execute_request=frames(status, lambda request: stream(request, b"late"), status))
    assert outputs_of(box) == []
    assert outputs_of(box) == []


def test_runs_leave_nothing_behind_in_their_channel(box_of: Open) -> None:
    box = box_of(execute_request=echo)
    for _ in range(100):
        run(box, "python", "1")
    assert box._instance is not None
    assert box._instance.channel._inboxes == {}


# --- silence, floods and trickles ---


def test_silence_after_the_time_limit_ends_the_container_and_gives_124(box_of: Open) -> None:
    box = box_of(execute_request=lambda request: [stream(request, b"partial")])
    began = time.monotonic()
    done = run(box, "python", "1", timeout=0.05)
    assert time.monotonic() - began < 2
    assert (done.result.exit_code, done.result.limit, done.stdout) == (124, "time", "partial")
    assert "did not stop" in done.failure.value
    assert box._engine is not None
    assert box._engine.list({}) == []


@pytest.mark.parametrize("timeout", [0, 60])
def test_silence_after_an_interrupt_from_another_thread_gives_137(box_of: Open, timeout: float) -> None:
    box = box_of()
    running = box.execute("python", "1", timeout=timeout)
    threading.Timer(0.1, running.interrupt).start()
    began = time.monotonic()
    done = finish(running)
    assert time.monotonic() - began < 2
    assert (done.result.exit_code, done.result.interrupted, done.result.limit) == (137, True, None)


def test_closing_a_run_whose_agent_is_silent_takes_the_ladders_time(box_of: Open) -> None:
    box = box_of()
    running = box.execute("python", "1")
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 2
    assert running.result.exit_code == 137


@pytest.mark.parametrize(("make", "pause"), [
    (lambda request: stream(request, bytes(60_000)), 0),
    (lambda request: stream(request, b""), 0),
    (lambda request: encode("active_line", id=request.header["id"], line=1), 0),
    (lambda request: stream(request, b"."), 0.02),
], ids=["flood", "empty-flood", "line-flood", "trickle"])
def test_output_without_end_does_not_outlast_the_time_limit(
        box_of: Open, monkeypatch: pytest.MonkeyPatch, make: Callable[[Frame], bytes], pause: float) -> None:
    monkeypatch.setattr(deadline, "OVERTIME_BYTES", 4 * 1024 * 1024)
    box = box_of(execute_request=lambda request: endless(request, make, pause))
    running = box.execute("python", "1", timeout=0.05)
    began = time.monotonic()
    for _ in running:
        assert time.monotonic() - began < 10
    assert running.result.exit_code in (124, 137)  # 137 where it sent more than was granted


def test_a_reader_that_takes_its_time_loses_nothing_past_the_time_limit(box_of: Open) -> None:
    box = box_of(execute_request=frames(*[lambda request: stream(request, b"x" * 1000)] * 5,
                                        lambda request: status(request, limit="time", exit_code=130)))
    running = box.execute("python", "1", timeout=0.01)
    size = 0
    for output in running:
        assert isinstance(output, Stream)
        size += len(output.data)
        time.sleep(0.1)  # all in all far past the limit, the ladder and the overtime
    assert (size, running.result.exit_code) == (5000, 124)


def test_the_output_limit_interrupts_and_says_so(box_of: Open) -> None:
    box = box_of(Policy(output=10, grace=0.02), execute_request=lambda request: [stream(request, b"x" * 11)],
                 interrupt_request=lambda request: [status(request, exit_code=130, interrupted=True)])
    result = run(box, "python", "1").result
    assert (result.exit_code, result.limit, result.interrupted) == (130, "output", True)
