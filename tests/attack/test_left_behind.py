"""However code hides its processes, none of them outlives its sandbox, and none holds up its end."""

from __future__ import annotations

import subprocess
import time

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.runs import run

# Two forks and a session of its own, as a daemon does it; deaf to every signal that can be ignored.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 65):
            try: signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError): pass
        os.execvp('python3', ['python3', '-c', 'import time; time.sleep(777)', 'MARK'])
    os._exit(0)
os.wait()
time.sleep(0.2)
print(os.popen("grep -la MARK /proc/[0-9]*/cmdline | wc -l").read().strip() != '0')
"""


def host_processes(mark: str) -> int:
    """Return how many processes with ``mark`` in their command line the machine runs."""
    listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    return sum(mark in line and "ps axww" not in line for line in listed.splitlines())


@pytest.mark.parametrize("script", [None, Script()], ids=["cell", "script"])
@pytest.mark.parametrize("wait", [True, False], ids=["wait", "no-wait"])
def test_double_forked_children_are_gone_after_close(engine: DockerEngine, script: Script | None, wait: bool) -> None:
    mark = f"mark-{time.monotonic_ns()}"
    box = Sandbox(engine=engine, policy=Policy(grace=0.5))
    assert run(box, "python", DAEMON.replace("MARK", mark), script=script).stdout == "True\n"
    began = time.monotonic()
    box.close(wait=wait)
    assert time.monotonic() - began < 3
    give_up = time.monotonic() + 2
    while host_processes(mark) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert host_processes(mark) == 0


def test_stopped_and_traced_processes_are_gone_after_close(engine: DockerEngine) -> None:
    mark = f"mark-{time.monotonic_ns()}"
    code = f"""
import ctypes, os, signal, subprocess, time
for number in range(5):
    child = subprocess.Popen(['python3', '-c', 'import time; time.sleep(777)', '{mark}'], start_new_session=True)
    time.sleep(0.1)
    if number % 2:
        ctypes.CDLL(None).ptrace(16, child.pid, 0, 0)  # PTRACE_ATTACH
    else:
        os.kill(child.pid, signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSTOP)
"""
    box = Sandbox(engine=engine, policy=Policy(grace=0.2), notify=lambda _: None)
    assert run(box, "python", code, timeout=8).result.exit_code == 124
    run(box, "python", code.replace("os.kill(os.getpid(), signal.SIGSTOP)", ""))
    assert host_processes(mark)
    box.close()
    give_up = time.monotonic() + 5
    while host_processes(mark) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert host_processes(mark) == 0


def test_a_program_that_ignores_signals_does_not_hold_up_an_interrupt_or_close(engine: DockerEngine) -> None:
    code = "trap '' INT TERM HUP QUIT; echo deaf; while :; do :; done"
    box = Sandbox(engine=engine, policy=Policy(grace=0.2), notify=lambda _: None)
    execution = box.execute("shell", code, script=Script())
    next(iter(execution))
    began = time.monotonic()
    execution.close()
    assert time.monotonic() - began < 2
    assert execution.result.exit_code == 137
    box.close()
    assert engine.list({f"{LABEL}.session": box.session}) == []


def test_closing_in_the_midst_of_a_run_is_quick_and_leaves_nothing(engine: DockerEngine) -> None:
    box = Sandbox(engine=engine)
    execution = box.execute("python", "import time\nprint('begun', flush=True)\nwhile True: time.sleep(1)")
    next(iter(execution))
    began = time.monotonic()
    box.close()
    assert time.monotonic() - began < 2
    assert engine.list({f"{LABEL}.session": box.session}) == []
    assert [type(output).__name__ for output in execution] == ["Failure"]


def test_a_child_that_holds_every_descriptor_delays_no_end(box: Sandbox) -> None:
    code = ("import subprocess\nsubprocess.Popen(['sleep', '777'], close_fds=False, start_new_session=True)\n"
            "print('done')")
    for script in (None, Script()):
        began = time.monotonic()
        assert run(box, "python", code, script=script).stdout == "done\n"
        assert time.monotonic() - began < 5


def test_zombies_are_reaped(box: Sandbox) -> None:
    code = "import os\nfor _ in range(50):\n    if os.fork() == 0:\n        os.fork()\n        os._exit(0)\n"
    run(box, "python", code, script=Script())
    give_up = time.monotonic() + 5
    zombies = "1"
    while zombies != "0\n" and time.monotonic() < give_up:
        zombies = run(box, "shell", "cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z '").stdout
    assert zombies == "0\n"
