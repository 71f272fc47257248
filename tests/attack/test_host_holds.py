"""The host's side when something is cut off in the middle: nothing hangs, leaks, or ends in a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import finish, run


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def settled(limit: int, seconds: float = 3) -> int:
    """Return the open descriptors once they are no more than ``limit``, or after some seconds."""
    give_up = time.monotonic() + seconds
    while descriptors() > limit and time.monotonic() < give_up:
        time.sleep(0.02)
    return descriptors()


# --- leaks ---


@pytest.fixture
def own_engine(engine: DockerEngine) -> Iterator[DockerEngine]:
    """Give a client of its own: what it keeps open for later requests is closed with it."""
    with Sandbox(engine=engine) as box:
        run(box, "python", "1")  # what is opened once stays open
    client = DockerEngine()
    yield client
    client.close()


def test_sandboxes_that_come_and_go_leave_no_descriptor_and_no_thread(own_engine: DockerEngine) -> None:
    before, threads = descriptors(), threading.active_count()
    for number in range(8):
        box = Sandbox(engine=own_engine, policy=Policy(grace=0.2), notify=lambda _: None)
        execution = box.execute("python", "while True: print('x' * 1000)" if number % 2 else "1")
        next(iter(execution), None)
        if number % 4 == 3:
            assert box.container_id
            own_engine.get(box.container_id).remove()
        box.close(wait=number % 3 != 0)
        box.close()
    own_engine.close()
    assert settled(before) <= before
    assert threading.active_count() <= threads


def test_sandboxes_that_cannot_start_leave_nothing(own_engine: DockerEngine) -> None:
    before = descriptors()
    for _ in range(3):
        box = Sandbox(engine=own_engine, policy=Policy(runtime="no-such-runtime"), notify=lambda _: None)
        with pytest.raises(SandboxInterpreterError, match="runtime"):
            run(box, "python", "1")
        box.close()
        assert own_engine.list({f"{LABEL}.session": box.session}) == []
    own_engine.close()
    assert settled(before) <= before


# --- a stream that is taken up half-way ---


def test_a_flood_taken_up_half_way_goes_on_at_a_whole_frame(engine: DockerEngine) -> None:
    first = Sandbox(engine=engine, policy=Policy(grace=0.5))
    code = "import os, time\ni = 0\nwhile True:\n    os.write(1, b'%09d\\n' % i * 4000); i += 1; time.sleep(0.001)"
    for output in (execution := first.execute("python", code)):
        if b"000000020" in getattr(output, "data", b""):
            break
    del execution
    holder = first
    for _ in range(5):  # at once, in the midst of frames that are on their way
        holder.detach()
        holder = Sandbox(engine=engine, session=first.session, policy=Policy(grace=0.5), notify=lambda _: None)
        (resumed,) = holder.reattach()
        outputs = iter(resumed)
        read = 0
        while read < 500_000:
            output = next(outputs)
            assert isinstance(output, Stream), output
            read += len(output.data)
    resumed.interrupt()
    assert finish(resumed).result.exit_code == 130
    assert run(holder, "python", "i > 20").values == ["True"]
    holder.close()
    first.close()


# --- Ctrl-C ---

PROGRAM = """
import signal, sys, time
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sandbox.policy import Policy
box = Sandbox(policy=Policy(grace=0.2), notify=lambda _: None)
print(box.session, flush=True)
try:
    for output in box.execute("python", "while True: print('x' * 10000)", timeout=20):
        pass
except KeyboardInterrupt:
    print("interrupted", flush=True)
finally:
    box.close()
print("closed", flush=True)
"""


@pytest.mark.parametrize("after", [0.05, 0.5, 1.2])
def test_a_ctrl_c_at_any_moment_leaves_no_container(engine: DockerEngine, after: float) -> None:
    program = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    assert program.stdout is not None
    session = program.stdout.readline().strip()
    time.sleep(after)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=20)
    assert out == "interrupted\nclosed\n", err
    assert err == ""
    assert [each.state for each in engine.list({f"{LABEL}.session": session}) if each.state == "running"] == []


def test_two_threads_may_use_and_close_one_sandbox(engine: DockerEngine) -> None:
    box = Sandbox(engine=engine, policy=Policy(grace=0.2), notify=lambda _: None)
    run(box, "python", "1")
    ends: list[object] = []

    def use(number: int) -> None:
        try:
            ends.extend(run(box, "shell" if number % 2 else "python", "1").result.exit_code for _ in range(50))
        except SandboxInterpreterError as error:
            ends.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(3)]
    threads += [threading.Thread(target=box.close) for _ in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert ends
    assert engine.list({f"{LABEL}.session": box.session}) == []
    assert box.workspace is None
