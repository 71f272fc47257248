"""Pool: sandboxes that are ready before they are asked for, each used by one and by nobody after."""

from __future__ import annotations

import threading

import pytest

from sandbox_interpreter import Pool
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.errors import EngineError, SandboxClosed, UsageError
from sandbox_interpreter.sandbox.policy import Policy
from tests.support.runs import run


def test_a_sandbox_is_ready_when_it_is_taken_and_another_takes_its_place(engine: DockerEngine) -> None:
    with Pool(1, engine=engine, policy=Policy(grace=0.5), env={"A": "b"}) as pool:
        assert pool.wait()
        with pool.take() as first:
            assert first.is_running
            identifier = first.container_id
            assert run(first, "python", "import os; print(os.environ['A'], os.listdir())").stdout == "b []\n"
            run(first, "shell", "touch mine")
        assert pool.wait()
        with pool.take() as second:
            assert second.container_id != identifier
            assert run(second, "shell", "ls").stdout == ""
    assert engine.get(identifier or "").state() == "removed"


def test_takers_at_once_get_sandboxes_of_their_own_ready_or_not(engine: DockerEngine) -> None:
    found: list[str] = []

    def use() -> None:
        with pool.take() as box:
            run(box, "python", "1")
            found.append(box.container_id or "")

    with Pool(2, engine=engine) as pool:
        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({*found}) == 4


def test_closing_removes_what_nobody_took_and_gives_no_more(engine: DockerEngine) -> None:
    pool = Pool(2, engine=engine)
    assert pool.wait()
    kept = [box.container_id or "" for box in pool._ready]
    pool.close()
    pool.close()
    assert [engine.get(each).state() for each in kept] == ["removed"] * 2
    with pytest.raises(SandboxClosed):
        pool.take()


def test_a_sandbox_that_has_ended_while_it_waited_is_not_given(engine: DockerEngine) -> None:
    with Pool(1, engine=engine) as pool:
        assert pool.wait()
        gone = pool._ready[0]
        engine.get(gone.container_id or "").remove()
        assert gone._instance is not None
        assert gone._instance.channel.ended.wait(10)
        with pool.take() as box:
            assert box is not gone
            assert run(box, "python", "print(1)").stdout == "1\n"


def test_an_engine_that_fails_is_told_to_whoever_takes_one() -> None:
    engine = ScriptedEngine(lambda _: ())

    def fail(*_: object) -> None:
        raise EngineError("It is broken.")

    engine.create = fail  # type: ignore[assignment,method-assign]  # the script cannot fail by itself
    with Pool(1, engine=engine) as pool:
        assert not pool.wait(0.1)
        with pytest.raises(EngineError), pool.take() as box:
            box.start()


@pytest.mark.parametrize("size", [0, -1, 257])
def test_a_size_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(UsageError):
        Pool(size)
