"""The host's side when something is cut off in the middle: nothing hangs, leaks, or ends in a traceback."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineUnreachable, SandboxInterpreterError
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


# --- an engine that goes away ---


class Relay:
    """A socket in front of the engine's, which can be cut like a cable."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.sock"
        self._pairs: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect("/var/run/docker.sock")
                self._pairs += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End every connection, and take no new one."""
        self._listener.close()
        self.path.unlink(missing_ok=True)
        for each in self._pairs:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    made = Relay(tmp_path)
    yield made
    made.cut()
    with warnings.catch_warnings():  # as below
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


# A socket that could not connect is left to the garbage collector by the engine's SDK.
SDK_LEAVES_SOCKETS = pytest.mark.filterwarnings("ignore::ResourceWarning")


def remove_all(engine: DockerEngine, box: Sandbox) -> None:
    for each in engine.list({f"{LABEL}.session": box.session}):
        engine.get(each.id).remove()


@SDK_LEAVES_SOCKETS
def test_an_engine_lost_in_mid_run_is_said_and_nothing_hangs(relay: Relay, engine: DockerEngine) -> None:
    box = Sandbox(engine=f"unix://{relay.path}", policy=Policy(grace=0.2), notify=lambda _: None)
    execution = box.execute("python", "import time\nwhile True: print('tick', flush=True); time.sleep(0.05)")
    outputs = iter(execution)
    assert isinstance(next(outputs), Stream)
    threading.Timer(0.2, relay.cut).start()
    began = time.monotonic()
    with pytest.raises(EngineUnreachable):
        list(outputs)
    assert time.monotonic() - began < 5
    assert execution.result.exit_code == 137
    with pytest.raises(SandboxInterpreterError):
        box.execute("python", "1")
    with contextlib.suppress(SandboxInterpreterError):  # its container cannot be removed from here
        box.close()
    remove_all(engine, box)


@SDK_LEAVES_SOCKETS
def test_an_engine_lost_while_nothing_runs_is_said_by_the_next_run(relay: Relay, engine: DockerEngine) -> None:
    box = Sandbox(engine=f"unix://{relay.path}", policy=Policy(grace=0.2), notify=lambda _: None)
    run(box, "python", "1")
    relay.cut()
    time.sleep(0.1)
    with pytest.raises(SandboxInterpreterError) as caught:
        run(box, "python", "1")
    assert caught.value.next_step
    with contextlib.suppress(SandboxInterpreterError):
        box.close()
    remove_all(engine, box)


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
box = Sandbox(policy=Policy(grace=0.2))
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
