"""An engine that cannot be reached any more, whichever the way to it: that is told, nothing hangs, nothing is left."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineUnreachable, SandboxInterpreterError
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.cable import Cable, to_the_engine
from tests.support.runs import finish, run

# A socket that could not connect is left to the garbage collector by the engine's SDK.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
TICKS = "import time\nwhile True: print('tick', flush=True); time.sleep(0.05)"


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    made = to_the_engine(tmp_path)
    yield made
    made.let_go()
    made.cut()
    with warnings.catch_warnings():  # as above
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def guest(cable: Cable, engine: DockerEngine) -> Iterator[Sandbox]:
    """Give a sandbox along that way; what cannot be removed from there is removed along another."""
    box = Sandbox(engine=cable.address, policy=Policy(grace=0.2), notify=lambda _: None)
    yield box
    with contextlib.suppress(SandboxInterpreterError):
        box.close()
    for each in left(engine, box):
        engine.get(each).remove()


def left(engine: DockerEngine, box: Sandbox) -> list[str]:
    return [each.id for each in engine.list({f"{LABEL}.session": box.session})]


def test_an_engine_lost_in_mid_run_is_said_and_nothing_hangs(cable: Cable, guest: Sandbox) -> None:
    execution = guest.execute("python", TICKS)
    outputs = iter(execution)
    assert isinstance(next(outputs), Stream)
    threading.Timer(0.2, cable.cut).start()
    began = time.monotonic()
    with pytest.raises(EngineUnreachable) as caught:
        list(outputs)
    assert time.monotonic() - began < 5
    assert caught.value.next_step
    assert execution.result.exit_code == 137


def test_an_engine_lost_while_nothing_runs_is_said_by_the_next_run(cable: Cable, guest: Sandbox) -> None:
    run(guest, "python", "1")
    cable.cut()
    time.sleep(0.1)
    with pytest.raises(SandboxInterpreterError) as caught:
        run(guest, "python", "1")
    assert caught.value.next_step


@pytest.mark.usefixtures("impatient")
def test_every_call_to_an_engine_that_hangs_ends_and_says_so(cable: Cable, guest: Sandbox,
                                                            engine: DockerEngine) -> None:
    run(guest, "shell", "true")
    execution = guest.execute("python", TICKS, timeout=1)
    next(iter(execution))
    cable.hold()
    attempts: list[Callable[[], object]] = [
        lambda: finish(execution), lambda: run(guest, "python", "1"), guest.close]
    if cable.holds_new:
        attempts += [lambda: DockerEngine(cable.address), Sandbox(engine=cable.address, notify=lambda _: None).start]
    for attempt in attempts:
        with pytest.raises(EngineUnreachable) as caught:
            attempt()
        assert caught.value.next_step
    cable.let_go()
    guest.close()
    assert left(engine, guest) == []
