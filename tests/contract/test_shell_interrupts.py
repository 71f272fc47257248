"""An interrupt ends whatever bash waits for, and costs neither its variables nor what runs in the background."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import Run, finish, run

MANY = 1_500
"""Once in some thousand times, bash 5.2 would send itself for ever a SIGINT that came as it began to wait."""


@pytest.fixture(scope="module")
def box(engine: DockerEngine) -> Iterator[Sandbox]:
    """Give a sandbox in which an interrupt that is not heard would be noticed: the next step comes late."""
    with Sandbox("base", engine=engine, policy=Policy(grace=30)) as made:
        yield made


def interrupted(box: Sandbox, code: str) -> Run:
    """Return what came of shell code that was interrupted when it had begun to wait."""
    execution = box.execute("shell", code)
    time.sleep(0.3)
    execution.interrupt()
    return finish(execution)


@pytest.mark.parametrize("code", [
    "sleep 60", "while :; do sleep 0.001; done", "f() { g; }; g() { while :; do :; done; }; f", "x=$(sleep 60)",
    "( ( sleep 60 ) )", "yes | cat >/dev/null", "sleep 60 & wait", "read line < <(sleep 60)",
    "python3 -c 'import time; time.sleep(60)'", "eval 'source <(echo sleep 60)'",
    "set -E; trap 'echo failed' ERR; sleep 60", "until false; do (exit 1); done",
])
def test_whatever_bash_waits_for_is_interrupted_and_its_variables_stay(box: Sandbox, code: str) -> None:
    run(box, "shell", "kept=41")
    done = interrupted(box, f"{code}\necho behind")
    assert (done.result.exit_code, done.result.interrupted) == (130, True)
    assert "behind" not in done.stdout
    assert run(box, "shell", "trap - ERR; set +E; echo $((kept + 1))").stdout == "42\n"


@pytest.mark.parametrize("trap", ["trap 'echo own' INT", "trap '' URG", "trap - URG INT"])
def test_a_trap_of_the_cell_before_does_not_stand_in_the_way(engine: DockerEngine, trap: str) -> None:
    with Sandbox("base", engine=engine, policy=Policy(grace=30)) as box:
        run(box, "shell", f"kept=1; {trap}")
        done = interrupted(box, "x=$(sleep 60)\necho behind")
        assert (done.result.exit_code, done.stdout) == (130, "")
        assert run(box, "shell", "echo $kept").stdout == "1\n"


def test_what_runs_in_the_background_goes_on(box: Sandbox) -> None:
    run(box, "shell", "(while :; do echo . >> beat; sleep 0.02; done) & beating=$!")
    assert interrupted(box, "sleep 60").result.exit_code == 130
    assert run(box, "shell", "one=$(wc -l < beat); sleep 0.5; test $(wc -l < beat) -gt $one; echo $?").stdout == "0\n"
    assert run(box, "shell", "kill $beating; echo $?").stdout == "0\n"


def test_a_program_with_a_handler_hears_the_interrupt_once(box: Sandbox) -> None:
    code = ("import signal, sys, time\nheard = []\nsignal.signal(signal.SIGINT, lambda *_: heard.append(1))\n"
            "print('up', flush=True)\nend = time.monotonic() + 1\nwhile time.monotonic() < end: time.sleep(0.05)\n"
            "print(len(heard))")
    execution = box.execute("shell", f"python3 -c \"{code}\"; echo behind")
    outputs = iter(execution)
    assert next(outputs) == Stream("stdout", b"up\n")
    execution.interrupt()
    assert b"".join(getattr(output, "data", b"") for output in outputs) == b"1\n"
    assert execution.result.exit_code == 130


@pytest.mark.timeout(300)
def test_bash_survives_an_interrupt_in_the_moment_in_which_it_begins_to_wait(box: Sandbox) -> None:
    run(box, "shell", "x=41")
    for _ in range(MANY):
        execution = box.execute("shell", "(exit 0); (exit 0)")
        execution.interrupt()
        assert finish(execution).result.exit_code in (0, 130)
    assert run(box, "shell", "echo $((x + 1))").stdout == "42\n"
