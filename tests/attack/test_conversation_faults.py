"""A conversation whose model or machine fails it loses no word, and goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import ModelError, UsageError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sessions import log, store
from tests.support.openai_server import OpenAIServer, call, say


def said(interpreter: Interpreter) -> list[str]:
    entries = log.read(interpreter.workbench.session.events).entries
    return [entry["content"] for entry in entries if entry["event"] == "message"]


def test_a_model_that_goes_in_mid_answer_costs_neither_a_word_nor_the_sandbox() -> None:
    gone = say("It is ", "forty").dropped(before=b"forty")
    with OpenAIServer(call("python", "x = 41"), say("Set."), *[gone] * 5, call("python", "print(x + 1)"),
                      say("It is 42.")) as server:
        address = server.url
        interpreter = Interpreter(model="openai/any", api_base=address, api_key="k", image="base", auto_run=True)
        with interpreter:
            interpreter.chat("Set x.", display=False)
            with pytest.raises(ModelError) as caught:
                interpreter.chat("What is it?", display=False)
            assert caught.value.next_step
            assert "It is " in " ".join(said(interpreter)[said(interpreter).index("What is it?"):])
            messages = interpreter.chat("Again.", display=False)
            assert [message["content"] for message in messages if message["type"] == "console"][-1] == "42\n"
            assert [text for text in said(interpreter) if text in ("Set x.", "What is it?", "Again.")] == [
                "Set x.", "What is it?", "Again."]


ASLEEP = """
import sys
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sandbox.policy import Policy
with Sandbox("base", policy=Policy(idle=2, grace=0.5), notify=lambda text: print("told", text, flush=True)) as box:
    list(box.execute("shell", "echo kept > file"))
    print("ready", flush=True)
    sys.stdin.readline()
    for code in ("cat file", "cat file"):
        execution = box.execute("shell", code)
        said = b"".join(output.data for output in execution if hasattr(output, "data"))
        print(said, execution.result.exit_code, flush=True)
"""


def test_a_client_that_sleeps_longer_than_its_sandbox_waits_goes_on_in_a_new_one(engine: DockerEngine) -> None:
    # A laptop whose engine is elsewhere: here time stands still, there it does not.
    with subprocess.Popen([sys.executable, "-c", ASLEEP], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as program:
        assert program.stdout
        while program.stdout.readline() != "ready\n":
            pass
        program.send_signal(signal.SIGSTOP)
        give_up = time.monotonic() + 60
        while any(each.state == "running" and f"/{program.pid}/" in each.labels.get(f"{LABEL}.owner", "")
                  for each in engine.list({LABEL: ""})):
            assert time.monotonic() < give_up
            time.sleep(0.2)
        program.send_signal(signal.SIGCONT)
        out, _ = program.communicate("\n", timeout=60)
    assert out.endswith("b'kept\\n' 0\n"), out
    assert "told The sandbox's container has ended" in out


def test_thirty_sessions_begun_at_once_are_thirty_and_each_has_its_own_words(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(yaml.safe_dump(
        {"turns": [{"text": "I run it.", "language": "shell", "code": "pwd; echo $TAG"}, {"text": "Done."}]}))

    def talk(number: int) -> tuple[str, list[str]]:
        with Interpreter(model=f"scripted:{tmp_path / 'script.yaml'}", image="base", auto_run=True, memory="64m",
                         env={"TAG": str(number)}) as interpreter:
            interpreter.chat("the same title for all", display=False)
            return interpreter.workbench.session.name, said(interpreter)

    with ThreadPoolExecutor(30) as threads:
        outcomes = list(threads.map(talk, range(30)))
    assert len({name for name, _ in outcomes}) == 30
    assert [words for _, words in outcomes] == [
        ["the same title for all", "I run it.", "pwd; echo $TAG", f"/workspace\n{number}\n", "Done."]
        for number in range(30)]
    assert len(store.every()) == 30


def test_a_session_is_one_clients_at_a_time_and_the_other_is_told(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(yaml.safe_dump(
        {"repeat": True, "turns": [{"text": "I run it.", "language": "shell", "code": "echo ran"}, {"text": "Done."}]}))
    options: dict[str, Any] = {"model": f"scripted:{tmp_path / 'script.yaml'}", "image": "base", "auto_run": True}
    with Interpreter(**options) as first, Interpreter(**options) as second:
        first.chat("mine", display=False)
        before = said(first)
        with pytest.raises(UsageError, match="is open already") as caught:
            second.workbench.resume(first.workbench.session)
        assert caught.value.next_step
        second.chat("another", display=False)
        assert said(first) == before
        assert second.workbench.session.name != first.workbench.session.name
