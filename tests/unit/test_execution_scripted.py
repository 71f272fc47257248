"""The scripted engine plays containers well enough to hold a sandbox against."""

from __future__ import annotations

import threading
import time

import pytest

from sandbox_interpreter.agent.frames import SYNC_MARK, Frame, encode
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.engines.sockets import HungUp
from sandbox_interpreter.errors import ChannelError, EngineError, EngineUnreachable, SandboxClosed
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.agents import agent, echo
from tests.support.runs import run


def test_a_sandbox_runs_on_it_and_nothing_is_run() -> None:
    engine = ScriptedEngine(agent(execute_request=echo))
    with Sandbox(engine=engine) as box:
        assert run(box, "python", "raise SystemExit(1)").stdout == "raise SystemExit(1)"
        assert [each.state for each in engine.list({"org.sandbox-interpreter.session": box.session})] == ["running"]
        assert engine.containers[0].spec.pids == box.policy.pids
    assert engine.list({}) == []


def test_a_script_that_raises_system_exit_ends_its_container() -> None:
    def leave(_: Frame) -> list[bytes]:
        raise SystemExit

    engine = ScriptedEngine(agent(execute_request=leave))
    with Sandbox(engine=engine) as box:
        done = run(box, "python", "1")
    assert done.failure.name == "SandboxEnded"
    assert engine.containers[0].state() == "removed"


def test_a_sandbox_that_ends_while_code_is_sent_is_told_by_the_run_and_the_next_works(
        monkeypatch: pytest.MonkeyPatch) -> None:
    ended = ChannelError("The sandbox's container has ended.", next_step="Run again for a new sandbox.")

    def hang_up(*_: object, **__: object) -> None:
        threading.Timer(0.1, channel.fail, [ended]).start()  # the reader's turn comes later
        raise HungUp("The connection to the sandbox broke: Bad file descriptor.")

    with Sandbox(engine=ScriptedEngine(agent(execute_request=echo)), notify=lambda _: None) as box:
        box.start()
        assert box._instance
        channel = box._instance.channel
        monkeypatch.setattr(channel, "send_raw", hang_up)
        done = run(box, "python", "1")
        assert (done.failure.name, done.result.exit_code) == ("SandboxEnded", 137)
        assert run(box, "python", "2").stdout == "2"


def test_a_second_client_talks_to_the_same_container() -> None:
    def sync(frame: Frame) -> list[bytes]:
        return [SYNC_MARK + frame.header["nonce"].encode(), encode("sync_reply", requests=[], last=7)]

    engine = ScriptedEngine(agent(execute_request=echo, sync=sync))
    first = Sandbox(engine=engine)
    run(first, "python", "1")
    first.detach()
    second = Sandbox(engine=engine, session=first.session)
    assert second.reattach() == []
    assert run(second, "python", "2").stdout == "2"
    assert len(engine.containers) == 1
    second.close()
    first.close()


def test_a_container_is_found_by_name_and_not_once_it_is_unknown() -> None:
    engine = ScriptedEngine(agent(execute_request=echo))
    with Sandbox(engine=engine) as box:
        run(box, "python", "1")
        assert engine.get(engine.containers[0].spec.name).id == box.container_id
    with pytest.raises(EngineError, match="nowhere"):
        engine.get("nowhere")


def test_a_removed_container_neither_starts_nor_lives() -> None:
    engine = ScriptedEngine(agent())
    box = Sandbox(engine=engine)
    box.start()
    engine.close()
    deadline = time.monotonic() + 5
    while box._instance is not None and box._instance.channel.error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(EngineError, match="removed"):
        engine.containers[0].start()
    box.close()
    with pytest.raises(SandboxClosed):
        box.start()


def test_a_container_that_could_not_be_removed_is_removed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(agent(execute_request=echo))
    box = Sandbox(engine=engine)
    run(box, "python", "1")

    def fail() -> None:
        raise EngineUnreachable("The engine stopped answering.")

    with monkeypatch.context() as patch:
        patch.setattr(engine.containers[0], "remove", fail)
        with pytest.raises(EngineUnreachable):
            box.close()
    assert engine.containers[0].state() == "running"
    box.close()
    assert engine.containers[0].state() == "removed"
