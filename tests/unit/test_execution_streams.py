"""Outputs that cannot be are made to fit or end the sandbox, and nobody who feeds stdin is left waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

import pytest

from sandbox_interpreter.agent.frames import MAX_PAYLOAD, Frame, encode
from sandbox_interpreter.errors import ChannelError, EngineUnreachable
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.outputs import ActiveLine, Display, Failure, InputRequest, Stream
from sandbox_interpreter.sandbox.sandbox import Script
from tests.support.agents import display, endless, failure, frames, status, stream
from tests.support.boxes import Open, outputs_of, scripted_boxes
from tests.support.runs import finish, run


@pytest.fixture
def box_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    with scripted_boxes(monkeypatch) as make:
        yield make


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
