"""Whatever befalls a container or its client from outside, the run says so, and the next one works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sandbox import deadline
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sessions import log
from tests.support.runs import finish, run

FOR_LONG = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


def by_hand(engine: DockerEngine, container: str) -> None:
    engine.client.kill(container)


def stopped(engine: DockerEngine, container: str) -> None:
    engine.client.stop(container, timeout=0)


def removed(engine: DockerEngine, container: str) -> None:
    engine.client.remove_container(container, force=True)


def restarted(engine: DockerEngine, container: str) -> None:
    engine.client.restart(container, timeout=0)


def agent_killed(engine: DockerEngine, container: str) -> None:
    # As the kernel does when code leaves it nothing else to take: see test_exhaustion.py.
    rows = engine.client.top(container)["Processes"]
    os.kill(next(int(row[1]) for row in rows if "python3" in row[-1] and "init" not in row[-1]), signal.SIGKILL)


@pytest.mark.parametrize("end", [by_hand, stopped, removed, restarted, agent_killed])
def test_a_container_that_is_ended_from_outside_costs_its_run_and_no_file(
        box: Sandbox, engine: DockerEngine, notices: list[str], end: Callable[[DockerEngine, str], None]) -> None:
    run(box, "shell", "echo kept > file")
    execution = box.execute("python", FOR_LONG)
    next(iter(execution))
    assert box.container_id
    end(engine, box.container_id)
    done = finish(execution)
    assert (done.result.exit_code, done.failure.name) == (137, "SandboxEnded")
    assert "Run again" in done.failure.traceback
    assert run(box, "shell", "cat file").stdout == "kept\n"
    assert ["variables are gone, files are there" in notice for notice in notices] == [True]
    box.close()
    assert [each.state for each in engine.list({f"{LABEL}.session": box.session}) if each.state == "running"] == []


def test_a_container_that_is_frozen_ends_with_the_next_interrupt(box: Sandbox, engine: DockerEngine,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "OVERTIME_SECONDS", 0.5)
    execution = box.execute("python", FOR_LONG)
    next(iter(execution))
    assert box.container_id
    engine.client.pause(box.container_id)
    threading.Timer(0.2, execution.interrupt).start()
    done = finish(execution)
    assert (done.result.exit_code, done.result.interrupted) == (137, True)
    assert run(box, "python", "1").values == ["1"]


def test_thirty_sandboxes_started_at_once_all_answer_and_leave_nothing(engine: DockerEngine) -> None:
    boxes = [Sandbox("base", engine=engine, policy=Policy(grace=0.5)) for _ in range(30)]

    def use(number: int) -> str:
        with boxes[number] as box:
            return run(box, "python", f"print({number})").stdout

    with ThreadPoolExecutor(30) as threads:
        assert list(threads.map(use, range(30))) == [f"{number}\n" for number in range(30)]
    sessions = {box.session for box in boxes}
    left = [each for each in engine.list({LABEL: ""}) if each.labels.get(f"{LABEL}.session") in sessions]
    assert [each.state for each in left if each.state == "running"] == []


SUSPENDED = """
import os, signal
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sandbox.policy import Policy
code = "import time\\nfor n in range(20):\\n    print(n, flush=True)\\n    time.sleep(0.2)"
with Sandbox("base", policy=Policy(idle=6, grace=0.5)) as box:
    for output in box.execute("python", code):
        print(output.data.decode(), end="", flush=True)
"""


def test_a_client_that_is_suspended_and_goes_on_has_missed_nothing() -> None:
    program = subprocess.Popen([sys.executable, "-c", SUSPENDED], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    assert program.stdout is not None
    first = program.stdout.readline()
    program.send_signal(signal.SIGSTOP)
    time.sleep(4.5)  # beyond 2.5 heartbeats of idle / 4 seconds: the agent keeps what it has for later
    program.send_signal(signal.SIGCONT)
    rest, said = program.communicate(timeout=30)
    assert [int(line) for line in (first + rest).split()] == list(range(20)), said
    assert program.returncode == 0


# --- a disk that is full ---


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a data folder on a disk of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", folder],
                                           check=False).returncode:
        pytest.skip("a small disk needs leave to mount one")
    monkeypatch.setenv("SBI_DATA_DIR", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(512)):
            pass


def test_a_disk_that_fills_up_while_it_is_logged_to_loses_no_word_and_no_run_once_there_is_room(
        small_disk: Path, tmp_path: Path) -> None:
    codes = ["print('one')", f"print('two')  # {'as long as the room in a page' * 200}", "print('three')"]
    turns = [turn for code in codes for turn in ({"text": "I run it.", "code": code}, {"text": "Done."})]
    (tmp_path / "script.yaml").write_text(yaml.safe_dump({"turns": turns}))
    (work := tmp_path / "work").mkdir(mode=0o777)
    said: list[str] = []
    with Interpreter(model=f"scripted:{tmp_path / 'script.yaml'}", image="base", auto_run=True,
                     workspace=str(work)) as interpreter:
        interpreter.notify = said.append
        interpreter.chat("first", display=False)
        filler = small_disk / "filler"
        fill(filler)
        interpreter.chat("second", display=False)
        filler.unlink()
        messages = interpreter.chat("third", display=False)
        entries = log.read(interpreter.workbench.session.events).entries
    assert [message["content"] for message in messages if message["type"] == "console"] == ["one\n", "two\n", "three\n"]
    assert len([text for text in said if "cannot be recorded" in text]) == 1
    assert [entry["content"] for entry in entries if entry["event"] == "message" and entry["role"] == "user"] == [
        "first", "second", "third"]
    assert [entry["code"] for entry in entries if entry["event"] == "run"] == codes
