"""A run against agents that lie, flood, trickle or fall silent: it ends in time, with a result, and nothing leaks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from sandbox_interpreter.agent.frames import MAX_PAYLOAD, SYNC_MARK, Frame, encode
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.errors import ChannelError, EngineUnreachable, SandboxClosed, UsageError
from sandbox_interpreter.sandbox import deadline
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.outputs import ActiveLine, Display, Failure, InputRequest, Output, Stream
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.agents import Answer, agent, display, echo, failure, status, stream
from tests.support.runs import finish, run

Open = Callable[..., Sandbox]


@pytest.fixture
def box_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Give sandboxes whose agents are scripts, with a grace and an overtime of some milliseconds."""
    monkeypatch.setattr(deadline, "OVERTIME_SECONDS", 0.1)
    boxes: list[Sandbox] = []

    def make(policy: Policy | None = None, **answers: Answer) -> Sandbox:
        boxes.append(Sandbox(engine=ScriptedEngine(agent(**answers)), policy=policy or Policy(grace=0.02),
                             notify=lambda _: None))
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


def frames(*makers: Callable[[Frame], bytes]) -> Answer:
    """Return what answers a run with one frame of each maker."""
    return lambda request: [make(request) for make in makers]


def outputs_of(box: Sandbox) -> list[Output]:
    return run(box, "python", "1").outputs


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


def endless(request: Frame, make: Callable[[Frame], bytes], pause: float = 0) -> Iterator[bytes]:
    while True:
        yield make(request)
        time.sleep(pause)


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


# --- outputs ---


def test_parts_that_do_not_add_up_end_the_sandbox(box_of: Open) -> None:
    for parts in ({"a/b": 3}, {"a/b": -1}, {"a/b": 2, "c/d": 1}, {"a/b": 2**40}):
        done = run(box_of(execute_request=frames(lambda request, parts=parts: display(request, parts, b"xx"))),  # type: ignore[misc]  # binds the loop's value
                   "python", "1")
        assert "do not add up" in done.failure.value


def test_types_that_are_none_are_left_out_of_a_display(box_of: Open) -> None:
    parts = {"text/plain": 1, "no type": 1, "../../x": 1, "text/\x1b[2J": 1, "a/b\n": 1, "": 1}
    box = box_of(execute_request=frames(lambda request: display(request, parts, b"123456"), status))
    assert outputs_of(box) == [Display({"text/plain": b"1"})]


def test_a_display_larger_than_it_may_be_ends_the_sandbox(box_of: Open) -> None:
    def flood(request: Frame) -> Iterator[bytes]:
        return (display(request, {}, bytes(MAX_PAYLOAD), more=True) for _ in range(65))

    assert "over 64 MiB" in run(box_of(execute_request=flood), "python", "1").failure.value


def test_fragments_without_an_end_or_a_payload_do_not_add_up_for_ever(
        box_of: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox_interpreter.sandbox.assembly.MOST_DISPLAY", 1_000_000)
    box = box_of(execute_request=lambda request: endless(request, lambda r: display(r, {}, more=True)))
    assert run(box, "python", "1").result.exit_code == 137


def test_fragments_go_around_what_comes_between_them(box_of: Open) -> None:
    box = box_of(execute_request=frames(
        lambda request: display(request, {"a/b": 4}, b"12", more=True),
        lambda request: stream(request, b"between"),
        lambda request: encode("active_line", id=request.header["id"], line=3),
        lambda request: display(request, {"a/b": 4}, b"34"), status))
    assert outputs_of(box) == [Stream("stdout", b"between"), ActiveLine(3), Display({"a/b": b"1234"})]


def test_a_message_without_an_end_is_dropped_when_another_begins(box_of: Open) -> None:
    box = box_of(execute_request=frames(
        lambda request: display(request, {"image/png": 9}, b"\x89PNG", more=True),
        lambda request: failure(request, "ValueError", "first", b"cut traceback", more=True),
        lambda request: failure(request, "KernelDied", "signal 9"), status))
    assert outputs_of(box) == [Failure("KernelDied", "signal 9", "KernelDied: signal 9\n")]


@pytest.mark.parametrize(("line", "shown"), [(1, 1), (0, None), (-1, None), (2**31, None), (None, None)])
def test_a_line_that_no_file_has_is_no_line(box_of: Open, line: int | None, shown: int | None) -> None:
    box = box_of(execute_request=frames(lambda request: encode("active_line", id=request.header["id"], line=line),
                                        status))
    assert outputs_of(box) == [ActiveLine(shown)]


def test_halves_of_characters_are_replaced_wherever_they_come(box_of: Open) -> None:
    box = box_of(execute_request=frames(
        lambda request: encode("input_request", id=request.header["id"], prompt="a\ud83d", password=False),
        lambda request: failure(request, "\udcff", "\ud800"),
        lambda request: failure(request, "X", "", b"\xff"), status))
    assert outputs_of(box) == [InputRequest("a?"), Failure("?", "?", "?: ?\n"), Failure("X", "", "\ufffd")]


def test_a_stream_of_any_other_name_is_stdout(box_of: Open) -> None:
    box = box_of(execute_request=frames(lambda request: stream(request, b"1", "../../etc/passwd"),
                                        lambda request: stream(request, b"2", "stderr"), status))
    assert outputs_of(box) == [Stream("stdout", b"1"), Stream("stderr", b"2")]


# --- stdin ---


def feed(running: Execution, size: int) -> None:
    running.send_stdin(bytes(size))
    running.close_stdin()


def test_stdin_stops_at_the_window_and_goes_on_with_credit(box_of: Open) -> None:
    got: list[bytes] = []

    def take(frame: Frame) -> Iterable[bytes]:
        got.append(frame.payload)
        if frame.header["eof"]:
            return [status(frame, exit_code=len(b"".join(got)) // 1_000_000)]
        return [encode("credit", id=frame.header["id"], bytes=len(frame.payload))]

    box = box_of(stdin=take)
    running = box.execute("python", "1", script=Script(), stdin="pipe")
    feeder = threading.Thread(target=feed, args=(running, 2_000_000))
    feeder.start()
    assert finish(running).result.exit_code == 2
    feeder.join(5)
    assert not feeder.is_alive()


@pytest.mark.parametrize("size", [-1, -(2**53), 2**53])
def test_absurd_credit_for_stdin_neither_blocks_nor_breaks(box_of: Open, size: int) -> None:
    box = box_of(execute_request=lambda request: [encode("credit", id=request.header["id"], bytes=size)],
                 stdin=lambda frame: [status(frame)] if frame.header["eof"] else [])
    running = box.execute("python", "1", script=Script(), stdin="pipe")
    feeder = threading.Thread(target=feed, args=(running, 200_000))
    feeder.start()
    assert finish(running).result.exit_code == 0
    feeder.join(5)
    assert not feeder.is_alive()


def test_a_feeder_is_let_go_when_the_agent_dies(box_of: Open) -> None:
    def leave(_: Frame) -> list[bytes]:
        raise SystemExit

    running = box_of(stdin=leave).execute("python", "1", script=Script(), stdin="pipe")
    feeder = threading.Thread(target=running.send_stdin, args=(bytes(3_000_000),))
    feeder.start()
    assert finish(running).failure.name == "SandboxEnded"
    feeder.join(5)
    assert not feeder.is_alive()


def test_a_feeder_is_let_go_when_the_engine_dies_as_well(box_of: Open) -> None:
    def remove(_: object) -> None:
        raise EngineUnreachable("The engine is gone.")

    running = box_of().execute("python", "1", script=Script(), stdin="pipe")
    running._end_container = remove  # what the sandbox would meet
    feeder = threading.Thread(target=running.send_stdin, args=(bytes(3_000_000),))
    feeder.start()
    running._inbox.channel.fail(ChannelError("gone"))
    with pytest.raises(EngineUnreachable):
        finish(running)
    assert running.result.exit_code == 137
    feeder.join(5)
    assert not feeder.is_alive()


def test_last_words_are_read_even_where_sending_fails_first(box_of: Open) -> None:
    def leave(frame: Frame) -> Iterator[bytes]:
        yield stream(frame, b"last words")
        raise SystemExit

    box = box_of(stdin=leave)
    running = box.execute("python", "1", script=Script(), stdin="pipe")
    for _ in range(20):
        running.send_stdin(bytes(5_000))  # some reach a socket that nobody reads any more
        time.sleep(0.002)
    done = finish(running)
    assert (done.stdout, done.failure.name) == ("last words", "SandboxEnded")
    assert "container has ended" in done.failure.value


# --- threads, and one sandbox after another ---


def test_two_threads_may_wait_for_the_same_run(box_of: Open) -> None:
    def answer(frame: Frame) -> list[bytes]:
        return [status(frame, exit_code=130)]

    box = box_of(interrupt_request=answer)
    running = box.execute("python", "1")
    reader = threading.Thread(target=list, args=(running,))
    reader.start()
    time.sleep(0.05)
    running.close()
    reader.join(5)
    assert not reader.is_alive()
    assert running.result.exit_code == 130


def test_the_end_of_an_old_run_leaves_a_new_container_alone(box_of: Open) -> None:
    seen: list[tuple[str, bytes]] = []

    def answer(frame: Frame) -> Iterable[bytes]:
        seen.append((frame.type, frame.payload))
        if frame.payload == b"die":
            raise SystemExit
        return echo(frame)

    box = box_of(execute_request=answer, interrupt_request=answer)
    old = box.execute("python", "die")
    deadline_at = time.monotonic() + 5
    while box._instance is not None and box._instance.channel.error is None and time.monotonic() < deadline_at:
        time.sleep(0.005)
    new = box.execute("python", "alive")
    identifier = box.container_id
    old.interrupt()
    assert finish(old).failure.name == "SandboxEnded"
    assert finish(new).stdout == "alive"
    assert box.container_id == identifier
    assert ("interrupt_request", b"") not in seen


def test_a_run_asked_of_a_closed_sandbox_is_refused_and_one_that_goes_on_ends(box_of: Open) -> None:
    box = box_of()
    running = box.execute("python", "1")
    threading.Timer(0.05, box.close).start()
    assert finish(running).failure.name == "SandboxEnded"
    with pytest.raises(SandboxClosed):
        box.execute("python", "1")


def test_a_reattached_run_goes_on_where_it_was(box_of: Open) -> None:
    def sync(frame: Frame) -> Iterable[bytes]:
        again = Frame("", {"id": 1})
        return [SYNC_MARK + frame.header["nonce"].encode(), encode("sync_reply", requests=[1], last=1),
                stream(again, b"missed"), status(again)]

    box = box_of(execute_request=lambda request: [stream(request, bytes(200_000))], sync=sync)
    next(iter(box.execute("python", "1")))
    engine, session = box._engine, box.session
    box.detach()
    with Sandbox(engine=engine, session=session) as second:
        (resumed,) = second.reattach()
        assert finish(resumed).stdout == "missed"


# --- what callers may ask ---


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan"), 10**12])
def test_a_time_limit_that_is_none_is_refused(box_of: Open, seconds: float) -> None:
    with pytest.raises(UsageError, match="time limit"):
        box_of().execute("python", "1", timeout=seconds)


def test_arguments_too_long_to_send_are_refused_and_the_sandbox_lives(box_of: Open) -> None:
    box = box_of(execute_request=echo)
    with pytest.raises(UsageError, match="too long"):
        box.execute("python", "1", script=Script(argv=("x" * 70_000,)))
    assert run(box, "python", "still here").stdout == "still here"


@pytest.mark.parametrize("code", ["print('\ud83d')", "x\udcff", "\udcff\ud800"])
def test_half_a_character_in_code_is_sent_somehow(box_of: Open, code: str) -> None:
    assert run(box_of(execute_request=lambda request: [status(request)]), "python", code).result.exit_code == 0


def test_a_result_is_not_to_be_had_before_the_end(box_of: Open) -> None:
    running: Execution = box_of().execute("python", "1")
    with pytest.raises(RuntimeError, match="not ended"):
        _ = running.result


@pytest.mark.parametrize("variables", [
    {"": "x"}, {"A=B": "x"}, {"A\0": "x"}, {"TOKEN": "hush\0hush"}, {"TOKEN": "hush\ud800"}, {"\ud800": "hush"},
])
def test_an_environment_that_no_process_can_have_is_refused_without_telling_it(variables: dict[str, str]) -> None:
    for given in ({"env": variables}, {"secrets": variables}):
        with pytest.raises(UsageError, match="environment") as caught:
            Sandbox(engine=ScriptedEngine(agent()), **given)  # type: ignore[arg-type]  # one or the other
        assert "hush" not in caught.value.report()
