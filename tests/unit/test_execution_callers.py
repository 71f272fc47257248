"""What a caller asks is answered or refused, from any thread, and one run takes nothing from the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

import pytest

from sandbox_interpreter.agent.frames import SYNC_MARK, Frame, encode
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.errors import SandboxClosed, UsageError
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.agents import agent, echo, status, stream
from tests.support.boxes import Open, scripted_boxes
from tests.support.runs import finish, run


@pytest.fixture
def box_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    with scripted_boxes(monkeypatch) as make:
        yield make


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
