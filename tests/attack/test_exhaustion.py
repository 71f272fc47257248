"""Code that takes all it can get of something stops at the limit, and its host neither grows nor waits."""

from __future__ import annotations

import contextlib
import gc
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.outputs import Display, Output, Stream
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.workbench import Workbench
from tests.support.runs import finish, run
from tests.support.sbi_process import SBI


@pytest.fixture
def small(engine: DockerEngine) -> Iterator[Sandbox]:
    """Give a sandbox whose limits are reached soon."""
    policy = Policy(grace=0.5, pids=64, memory=128 * MIB, tmp=32 * MIB, nofile=256)
    with Sandbox(engine=engine, policy=policy, notify=lambda _: None) as sandbox:
        yield sandbox


def resident() -> int:
    """Return the memory that this process occupies, in bytes (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


# --- processes ---


def test_a_fork_bomb_stops_at_the_pids_limit_and_the_next_cell_runs(small: Sandbox) -> None:
    done = run(small, "shell", "bomb() { bomb | bomb & }; bomb; sleep 0.5; exit 1", timeout=10)
    assert done.result.exit_code != 0
    assert "fork" in done.stderr
    small.reset()
    give_up = time.monotonic() + 10
    while (last := run(small, "python", "print('alive')")).stdout != "alive\n" and time.monotonic() < give_up:
        time.sleep(0.1)  # the bomb's last processes are still being swept up
    assert last.stdout == "alive\n"


def test_a_sandbox_full_of_processes_is_closed_at_once(engine: DockerEngine) -> None:
    box = Sandbox(engine=engine, policy=Policy(grace=0.5, pids=64), notify=lambda _: None)
    execution = box.execute("python", "import os, time\nprint('begun', flush=True)\nwhile True:\n"
                                      "    try: os.fork()\n    except OSError: time.sleep(0.01)")
    next(iter(execution))
    time.sleep(0.5)
    began = time.monotonic()
    box.close()
    assert time.monotonic() - began < 3
    assert engine.list({f"{LABEL}.session": box.session}) == []


def test_threads_count_as_processes(small: Sandbox) -> None:
    code = ("import threading, time\nstarted = 0\ntry:\n    while True:\n"
            "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n        started += 1\n"
            "except RuntimeError: print(started)")
    assert 0 < int(run(small, "python", code).stdout) < 64
    assert run(small, "shell", "echo alive").result.exit_code is not None


# --- memory and space ---


def test_a_memory_hog_is_taken_and_its_session_is_not(small: Sandbox) -> None:
    run(small, "shell", "echo kept > file")
    identifier = small.container_id
    done = run(small, "python", "hog = []\nwhile True: hog.append(bytearray(10_000_000))")
    assert (done.result.exit_code, done.result.limit) == (137, "memory")
    assert "more memory" in done.failure.value
    assert run(small, "shell", "cat file").stdout == "kept\n"
    assert small.container_id == identifier


def test_a_hog_in_a_background_child_leaves_the_kernel_alone(small: Sandbox) -> None:
    run(small, "python", "kept = 1")
    code = "python3 -c 'x = []\nwhile True: x.append(bytearray(10_000_000))' & wait $!; echo ended $?"
    assert "ended 137" in run(small, "shell", code).stdout
    assert run(small, "python", "kept").values == ["1"]


def test_scratch_space_ends_at_its_size(small: Sandbox) -> None:
    for place in ("/tmp", "/home/sandbox"):
        done = run(small, "shell", f"head -c 100000000 /dev/zero > {place}/x; stat -c %s {place}/x; rm {place}/x")
        assert "No space left" in done.stderr
        assert int(done.stdout) <= 32 * MIB


FILL = """
import os
for place in ('/tmp', os.environ['HOME'], '/dev/shm'):
    for payload in (bytes(1 << 20), b''):
        try:
            for number in range(10_000_000):
                with open(f'{place}/{len(payload)}-{number}', 'wb', 0) as file:
                    if file.write(payload) < len(payload): break
        except OSError as error:
            print(error.strerror)
"""


def test_scratch_space_filled_with_bytes_and_with_empty_files_takes_no_later_cell_down(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(grace=0.5, memory=256 * MIB), notify=lambda _: None) as box:
        run(box, "python", "kept = 1")
        before = box.container_id
        assert set(run(box, "python", FILL).stdout.splitlines()) == {"No space left on device"}
        assert run(box, "python", "kept").values == ["1"]
        assert run(box, "shell", "echo free").result.limit == "disk"  # a shell needs room for its cells
        run(box, "python", "import glob\nfor each in glob.glob('/tmp/*') + glob.glob('/dev/shm/*'): os.unlink(each)")
        assert run(box, "shell", "rm -r ~/* && echo free").stdout == "free\n"
        assert box.container_id == before


def test_a_hog_in_memory_that_is_full_of_files_is_taken_and_its_session_is_not(engine: DockerEngine) -> None:
    """No kill gives the memory of a file back, so there is little but the agent beside the hog."""
    with Sandbox("base", engine=engine, policy=Policy(grace=0.5, memory=128 * MIB), notify=lambda _: None) as box:
        run(box, "shell", "echo kept > file")
        assert set(run(box, "python", FILL).stdout.splitlines()) == {"No space left on device"}
        identifier = box.container_id
        for _ in range(2):
            done = run(box, "python", "hog = []\nwhile True: hog.append(bytearray(1_000_000))")
            assert (done.result.exit_code, done.result.limit) == (137, "memory")
        assert run(box, "python", "print(open('/workspace/file').read(), end='')").stdout == "kept\n"
        assert box.container_id == identifier


# As likely to be killed as the agent, and each of them smaller: the kernel takes the largest, and that is the agent.
CROWD = """
echo 0 > /proc/self/oom_score_adj
for _ in $(seq 50); do (head -c 4000000 /dev/zero; sleep 60) | tail -c 4000000 & done
sleep 60
"""


def test_code_that_makes_the_memory_limit_take_the_agent_ends_its_run_and_costs_no_file(engine: DockerEngine,
                                                                                    notices: list[str]) -> None:
    since = int(time.time())
    with Sandbox("base", engine=engine, policy=Policy(grace=0.5, memory=128 * MIB), notify=notices.append) as box:
        run(box, "shell", "echo kept > file")
        identifier = box.container_id
        done = run(box, "shell", CROWD)
        assert (done.result.exit_code, done.failure.name) == (137, "SandboxEnded")
        assert "Run again" in done.failure.traceback
        assert run(box, "shell", "cat file").stdout == "kept\n"
        assert ["variables are gone, files are there" in notice for notice in notices] == [True]
    if engine.client.info()["DefaultRuntime"] == "runc":  # the others do not say what the kernel did
        events = engine.client.events(since=since, until=int(time.time()) + 1, decode=True,
                                      filters={"container": identifier or ""})
        assert "oom" in [event["Action"] for event in events]


def test_what_system_v_keeps_goes_with_its_last_process_or_is_little(small: Sandbox) -> None:
    code = ("import ctypes, subprocess, sys\nlibc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\n"
            "for _ in range(4):\n    if not __import__('os').fork():\n"
            "        at = libc.shmat(libc.shmget(0, 60_000_000, 0o1600), None, 0)\n"
            "        ctypes.memset(at, 1, 60_000_000)\n        __import__('os')._exit(0)\n    __import__('os').wait()\n"
            "print(len(open('/proc/sysvipc/shm').readlines()) - 1)\n"
            "queues = 0\nwhile libc.msgget(0, 0o1600) >= 0: queues += 1\nprint(queues)")
    run(small, "python", "1")
    identifier = small.container_id
    assert run(small, "python", code).stdout == "0\n64\n"
    assert run(small, "python", "1").values == ["1"]
    assert small.container_id == identifier


def test_open_files_end_at_their_limit(small: Sandbox) -> None:
    code = ("import os\nopened = []\ntry:\n    while True: opened.append(os.dup(0))\n"
            "except OSError: print(len(opened) < 256)\nfor each in opened: os.close(each)")
    assert run(small, "python", code).stdout == "True\n"
    assert run(small, "python", "1").values == ["1"]


# --- output ---


def test_an_interrupt_overtakes_a_flood_and_its_reader_does_not_grow(box: Sandbox) -> None:
    execution = box.execute("shell", "cat /dev/zero")
    before, size, rest, growth = resident(), 0, 0, 0
    outputs = iter(execution)
    while size <= 100 * MIB:
        size += len(data_of(next(outputs)))
        growth = max(growth, resident() - before)
    execution.interrupt()
    for output in outputs:
        rest += len(data_of(output))
    assert execution.result.interrupted
    assert rest < 8 * MIB  # what was under way; how long it takes is measured in bench/
    assert growth < 50 * MIB


def data_of(output: Output) -> bytes:
    assert isinstance(output, Stream)
    return output.data


def test_a_conversation_is_little_behind_a_flood_when_it_is_interrupted() -> None:
    """A terminal is slow, and shows all that waits for it before it shows the end."""
    bench = Workbench(Settings())
    try:
        chunks = bench.run("shell", "cat /dev/zero | tr '\\0' x")
        while next(chunks).get("format") != "output":
            pass
        time.sleep(1.0)  # all comes that may
        assert bench.interrupt()
        assert sum(len(str(chunk.get("content", ""))) for chunk in chunks) < 2 * MIB
    finally:
        bench.close()


def test_a_flood_that_nobody_reads_stays_in_the_sandbox(box: Sandbox) -> None:
    execution = box.execute("shell", "cat /dev/zero")
    next(iter(execution))
    gc.collect()
    before = resident()
    time.sleep(1.0)
    assert resident() - before < 20 * MIB
    began = time.monotonic()
    execution.close()
    assert time.monotonic() - began < 2
    assert run(box, "shell", "echo next").stdout.endswith("next\n")


def test_a_giant_line_and_bytes_that_are_no_text_come_through_run(box: Sandbox) -> None:
    code = ("import sys\nout = sys.stdout.buffer\nout.write('é'.encode() * 5_000_000)\n"
            "out.write(b'\\xff\\xfe\\x00\\x1b[2J\\n')\nout.write('\U0001f600'.encode()[:2]);")
    chunks = [chunk for chunk in box.run("python", code) if chunk.get("format") == "output"]
    text = "".join(str(chunk.get("content", "")) for chunk in chunks)
    assert text == "é" * 5_000_000 + "\ufffd\ufffd\x00\x1b[2J\n\ufffd"
    text.encode()


@pytest.mark.parametrize("code", [
    "import os\nfor i in range(1000): os.write(1, bytes([i % 256]))",
    "import os\nos.write(1, os.urandom(300_000) * 3)",
    "import os\nos.write(2, b'sbi\\x01' + b'\\x00\\x00\\x00\\x10' * 2 + b'{}' * 100 + b'\\xffend')",
    "print('##active_line1##\\n\\x00sbi-sync' + 'f' * 32)",
], ids=["bytes", "random", "frames", "marks"])
def test_output_is_never_control(box: Sandbox, code: str) -> None:
    run(box, "python", "kept = 1")
    done = run(box, "python", code)
    assert done.result.exit_code == 0
    assert sum(len(each.data) for each in done.outputs if isinstance(each, Stream)) > 10
    assert run(box, "python", "kept").values == ["1"]


def test_a_thousand_displays_wait_for_their_reader(box: Sandbox) -> None:
    code = "class P:\n    def _repr_png_(self): return b'p' * 100_000\nfor _ in range(300): display(P())"
    execution = box.execute("python", code)
    before = resident()
    outputs = iter(execution)
    shown = [next(outputs)]
    time.sleep(0.5)
    assert resident() - before < 30 * MIB
    shown += [each for each in outputs if isinstance(each, Display)]
    assert len(shown) == 300


def test_a_program_that_prints_for_ever_stops_at_the_time_limit(box: Sandbox) -> None:
    began = time.monotonic()
    execution = box.execute("python", "while True: print('x' * 100)", timeout=0.5)
    done = finish(execution)
    assert time.monotonic() - began < 4
    assert (done.result.exit_code, done.result.limit) == (124, "time")
    assert run(box, "python", "1").values == ["1"]


TRACEBACK = """
class Deep(Exception): pass
def fail(depth):
    if depth: fail(depth - 1)
    raise Deep('x' * 100 + '\\n' + {message})
fail(5)
"""


@pytest.mark.parametrize(("message", "most"), [("'line\\n' * 1_000_000", 6 * MIB), ("'y' * 30_000_000", 32 * MIB)],
                         ids=["a-million-lines", "one-line"])
def test_a_traceback_of_any_length_comes_through_and_the_kernel_lives(box: Sandbox, message: str, most: int) -> None:
    done = run(box, "python", TRACEBACK.replace("{message}", message))
    assert done.failure.name == "Deep"
    assert len(done.failure.traceback) < most
    assert run(box, "python", "6 * 7").values == ["42"]


def test_a_recursion_without_end_is_a_traceback_like_any_other(box: Sandbox) -> None:
    code = "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + f(n + 2)\nf(0)"
    done = run(box, "python", code, timeout=30)
    assert done.result.exit_code
    assert run(box, "python", "6 * 7").values == ["42"]


def test_ctrl_c_ends_a_flood_of_10_gb_with_next_to_nothing_after_it() -> None:
    """As a person does it: at a terminal of their own, in the midst of the flood."""
    child = pexpect.spawn(str(SBI), ["run", "-l", "shell", "-c", "head -c 10G /dev/zero | tr '\\0' 'x'"], timeout=90)
    child.expect(b"x" * 80)
    child.send(b"\x03")
    size = 0
    with contextlib.suppress(pexpect.EOF):
        while True:
            size += len(child.read_nonblocking(1 << 20, timeout=90))
    child.close()
    assert child.exitstatus == 130
    assert size < 2 * MIB  # a slow terminal would show that for seconds
