"""An engine that is stopped, crashes or freezes loses no word of a conversation, and every call has an end."""

from __future__ import annotations

import gc
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineUnreachable, SandboxInterpreterError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sessions import log
from tests.support.own_engine import OwnEngine
from tests.support.runs import finish, run

# A socket that could not connect is left to the garbage collector by the engine's SDK.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
FOR_LONG = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect those sockets here, where the warning is ignored."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def guest(fragile: OwnEngine, notices: list[str]) -> Iterator[Sandbox]:
    """Give a sandbox on the engine that is to be broken; one that cannot be closed there is left to it."""
    box = Sandbox("base", engine=fragile.address, policy=Policy(grace=0.3), notify=notices.append)
    yield box
    fragile.restart()
    box.close()


def left_on(daemon: OwnEngine) -> list[str]:
    """Return the states of our containers there, once removals under way are through."""
    client = daemon.client()
    try:
        give_up = time.monotonic() + 5
        while (found := client.list({LABEL: ""})) and time.monotonic() < give_up:
            time.sleep(0.05)
        return [info.state for info in found]
    finally:
        client.close()


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_an_engine_that_goes_in_mid_run_is_named_and_the_next_run_after_its_return_works(
        fragile: OwnEngine, guest: Sandbox, crash: bool) -> None:
    run(guest, "shell", "echo kept > file")
    execution = guest.execute("python", FOR_LONG)
    next(iter(execution))
    (stopping := threading.Timer(0.2, lambda: fragile.stop(kill=crash))).start()
    with pytest.raises(EngineUnreachable) as caught:
        list(execution)
    assert caught.value.next_step
    assert execution.result.exit_code == 137
    with pytest.raises(EngineUnreachable):
        run(guest, "python", "1")
    stopping.join()
    fragile.start()
    assert run(guest, "shell", "cat file").stdout == "kept\n"
    guest.close()
    assert left_on(fragile) == []


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "crashed"])
def test_an_engine_restarted_between_two_runs_costs_variables_only(fragile: OwnEngine, guest: Sandbox, crash: bool,
                                                                   notices: list[str]) -> None:
    run(guest, "python", "x = 1; open('file', 'w').write('kept')")
    fragile.stop(kill=crash)
    fragile.start()
    assert run(guest, "python", "print('x' in globals(), open('file').read())").stdout == "False kept\n"
    assert ["variables are gone, files are there" in notice for notice in notices] == [True]
    guest.close()
    assert left_on(fragile) == []


@pytest.mark.usefixtures("impatient")
def test_every_call_to_a_frozen_engine_ends_and_says_so(fragile: OwnEngine, guest: Sandbox) -> None:
    run(guest, "python", "1")
    execution = guest.execute("python", FOR_LONG, timeout=1)
    next(iter(execution))
    fragile.signal(signal.SIGSTOP)
    for attempt in (lambda: finish(execution), lambda: run(guest, "python", "1"), guest.close,
                    lambda: DockerEngine(fragile.address), lambda: Sandbox("base", engine=fragile.address).start()):
        with pytest.raises(EngineUnreachable, match="said nothing for 1 s") as caught:
            attempt()
        assert caught.value.next_step
    fragile.signal(signal.SIGCONT)
    guest.close()
    assert left_on(fragile) == []


def model(tmp_path: Path, *codes: str) -> str:
    """Return the name of a model that answers each turn with one block, and then that it is done."""
    turns = [turn for code in codes for turn in ({"text": "I run it.", "code": code}, {"text": "Done."})]
    (tmp_path / "script.yaml").write_text(yaml.safe_dump({"turns": turns}))
    return f"scripted:{tmp_path / 'script.yaml'}"


def test_a_conversation_outlives_its_engine_word_for_word(fragile: OwnEngine, tmp_path: Path) -> None:
    name = model(tmp_path, FOR_LONG, "1", "print('again')")
    with Interpreter(model=name, image="base", engine=fragile.address, auto_run=True) as interpreter:
        stream = interpreter.chat("first", stream=True, display=False)
        while (chunk := next(stream))["role"] != "computer" or "begun" not in str(chunk.get("content")):
            pass
        fragile.stop()
        with pytest.raises(EngineUnreachable):
            list(stream)
        assert [message["content"] for message in interpreter.messages][:3] == ["first", "I run it.", FOR_LONG]
        assert "begun" in interpreter.messages[3]["content"]
        with suppress(SandboxInterpreterError):
            interpreter.chat("while it is down", display=False)
        fragile.start()
        messages = interpreter.chat("second", display=False)
        assert "again" in " ".join(message["content"] for message in messages if message["type"] == "console")
        events = log.read(interpreter.workbench.session.events).entries
    said = [entry["content"] for entry in events if entry["event"] == "message"]
    assert [word for word in said if word in ("first", "second", "while it is down")] == [
        "first", "while it is down", "second"]
    assert next(entry["error"] for entry in events if entry["event"] == "error") == "EngineUnreachable"
    assert left_on(fragile) == []
