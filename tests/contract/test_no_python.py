"""An image that has a shell and no Python: blocks run all the same, each as a program of its own, and it is said."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineError, SandboxInterpreterError, TransferError
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support import bare_image
from tests.support.runs import finish, run

IMAGE = f"sbi-test-no-python-{os.getpid()}:1"  # on an engine that others may test on, too
NOTHING = f"sbi-test-nothing-{os.getpid()}:1"
HOST_THAT_DIES = """
import os, sys
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
box = Sandbox(sys.argv[1], policy=Policy(idle=3), notify=lambda text: None)
box.start()
print(box.container_id, flush=True)
os._exit(9)
"""


@pytest.fixture(scope="module")
def image(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bare_image.made_of(engine, bare_image.LEAST, tmp_path_factory.mktemp("pieces"), IMAGE):
        yield IMAGE


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def box(engine: DockerEngine, image: str, notices: list[str], tmp_path: Path) -> Iterator[Sandbox]:
    tmp_path.chmod(0o777)
    with Sandbox(image, engine=engine, policy=Policy(grace=0.5), workspace=tmp_path, notify=notices.append,
                 env={"GREETING": "it's é"}) as sandbox:
        yield sandbox


def test_a_block_runs_and_is_a_program_of_its_own_which_is_said_once(box: Sandbox, notices: list[str]) -> None:
    done = run(box, "shell", "echo $GREETING; echo err >&2; x=5; echo kept >file; pwd; exit 7")
    assert (done.stdout, done.stderr, done.result.exit_code) == ("it's é\n/workspace\n", "err\n", 7)
    assert run(box, "shell", "echo [$x]; cat file").stdout == "[]\nkept\n"
    (said,) = [each for each in notices if "python3" in each]
    assert "each block runs as a program of its own" in said


def test_it_stands_under_the_same_policy(box: Sandbox, engine: DockerEngine, image: str) -> None:
    box.start()
    with Sandbox("base", engine=engine, policy=box.policy) as other:
        other.start()
        ours, theirs = (engine.client.inspect_container(str(each.container_id))["HostConfig"]
                        for each in (box, other))
    for known in (ours, theirs):
        known.pop("Mounts")  # each has a workspace of its own
    assert (ours.pop("Init"), theirs.pop("Init")) == (True, False)  # the agent brings its own
    assert ours == theirs
    assert run(box, "shell", "echo x >/usr/y").result.exit_code != 0
    assert "CapEff:\t0000000000000000" in run(box, "shell", "cat /proc/self/status").stdout


def test_output_comes_while_it_is_written(box: Sandbox) -> None:
    arrivals = [time.monotonic() for _ in box.execute("shell", "for i in 0 1 2; do echo $i; sleep 0.4; done")]
    assert arrivals[-1] - arrivals[0] > 0.4


@pytest.mark.parametrize("code", ["sleep 60", "while :; do :; done", "trap '' INT TERM; while :; do :; done"])
def test_a_timeout_ends_the_program_itself(box: Sandbox, code: str) -> None:
    done = run(box, "shell", f"echo begun; {code}", timeout=3)  # time to begin, on a busy machine too
    assert (done.stdout, done.result.exit_code, done.result.limit) == ("begun\n", 124, "time")
    # Every command line in the container: nobody sleeps or counts any more.
    assert "echo begun" not in run(box, "shell", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    assert run(box, "shell", "for each in /proc/[0-9]*/comm; do cat $each; done").stdout.count("sleep") <= 2


def test_an_interrupt_ends_the_program_and_the_next_block_runs(box: Sandbox) -> None:
    execution = box.execute("shell", "trap 'echo tidy; exit 3' INT; while :; do :; done")
    time.sleep(0.5)
    execution.interrupt()
    done = finish(execution)
    assert (done.stdout, done.result.exit_code, done.result.interrupted) == ("tidy\n", 3, True)
    assert run(box, "shell", "echo next").stdout == "next\n"


def test_a_flood_waits_for_its_reader_and_arrives_whole(box: Sandbox) -> None:
    execution = box.execute("shell", "head -c 20971520 /dev/zero")
    first = next(iter(execution))
    time.sleep(1)
    assert execution._inbox._waiting < 7 * 1024 * 1024  # the window and its slack
    rest = sum(len(each.data) for each in execution if isinstance(each, Stream))
    assert isinstance(first, Stream)
    assert len(first.data) + rest == 20 * 1024 * 1024


def test_a_background_child_that_keeps_stdout_open_does_not_hold_the_block(box: Sandbox) -> None:
    done = run(box, "shell", "sleep 100 & echo now", timeout=60)
    assert (done.stdout, done.result.limit) == ("now\n", None)


def test_stdin_and_arguments_reach_a_script(box: Sandbox) -> None:
    code = 'read -r line; echo "$1: $line"; cat'
    execution = box.execute("shell", code, script=Script("s", ("an 'arg",)), stdin="pipe")

    def feed() -> None:
        execution.send_stdin(b"one\n" + b"z" * 1_000_000)
        execution.close_stdin()

    threading.Thread(target=feed).start()
    assert finish(execution).stdout == "an 'arg: one\n" + "z" * 1_000_000


def test_memory_that_runs_out_is_the_limits_doing(engine: DockerEngine, image: str) -> None:
    with Sandbox(image, engine=engine, policy=Policy(memory=64 * 1024 * 1024), notify=lambda _: None) as box:
        done = run(box, "shell", "x=0123456789; while :; do x=$x$x; done")
        assert done.result.exit_code in (137, 2)  # a shell may see that there is none before it is killed
        assert done.result.limit in ("memory", None)
        assert run(box, "shell", "echo on").stdout == "on\n"


@pytest.mark.parametrize(("language", "lacks"), [("python", "python3"), ("sql", "python3"), ("javascript", "node")])
def test_a_language_that_it_lacks_is_named(box: Sandbox, language: str, lacks: str) -> None:
    done = run(box, language, "1")
    assert done.result.exit_code == 127
    assert lacks in done.stderr + "".join(str(each) for each in done.outputs)


def test_files_are_not_copied_and_it_is_said_why(box: Sandbox) -> None:
    with pytest.raises(TransferError, match="no python3"):
        box.files("*")


def test_it_ends_itself_when_its_host_is_gone(engine: DockerEngine, image: str) -> None:
    died = subprocess.run([sys.executable, "-c", HOST_THAT_DIES, image], capture_output=True, text=True, check=False)
    container = engine.get(died.stdout.strip())
    deadline = time.monotonic() + 60
    while container.state() != "removed" and time.monotonic() < deadline:
        time.sleep(0.3)
    assert container.state() == "removed"


def test_a_container_that_is_gone_runs_no_command_and_that_is_said(engine: DockerEngine, image: str) -> None:
    with Sandbox(image, engine=engine, notify=lambda _: None) as box:
        run(box, "shell", "true")
        container = engine.get(box.container_id or "")
        command = container.command(["true"])
        container.remove()
        with pytest.raises(EngineError, match="container is gone"):
            container.command(["true"])
        with pytest.raises(EngineError, match="container is gone"):
            command.exit_code()
        command.close()


def test_an_image_without_a_shell_cannot_run_anything_and_says_so(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "only").write_text("a file")
    subprocess.run(["tar", "-cf", tmp_path / "root.tar", "-C", tmp_path, "only"], check=True)
    engine.images().import_rootfs(tmp_path / "root.tar", NOTHING)
    try:
        with (Sandbox(NOTHING, engine=engine, notify=lambda _: None) as box,
              pytest.raises(SandboxInterpreterError, match="sh")):
            run(box, "shell", "echo 1")
    finally:
        bare_image.remove(engine, NOTHING)
