"""What code does, by accident or on purpose, costs its own run or kernel at most: the agent goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox.outputs import Display, Failure, InputRequest
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import Run, finish, run

FRAMES = """
import os, struct
def frame(header, payload=b"", trailer=b"\\xffend"):
    return struct.pack("!4sII", b"sbi\\x01", len(header), len(payload)) + header + payload + trailer
"""


def container_is_the_same(box: Sandbox, identifier: str | None) -> bool:
    return run(box, "python", "1 + 1").values == ["2"] and box.container_id == identifier


def test_an_environment_longer_than_a_frame_arrives_whole(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, env={"LONG": "ä" * 100_000, "NEXT": "b"}) as box:
        done = run(box, "python", "import os; print(len(os.environ['LONG']), os.environ['NEXT'])")
    assert done.stdout == "100000 b\n"


def test_an_answer_longer_than_a_frame_arrives_whole(shared_box: Sandbox) -> None:
    execution = shared_box.execute("python", "print(len(input()))", stdin="ask")
    outputs = []
    for output in execution:
        outputs.append(output)
        if isinstance(output, InputRequest):
            execution.reply("x" * 200_000)
    assert Run(outputs, execution.result).stdout == "200000\n"


def test_a_question_of_any_length_is_asked(shared_box: Sandbox) -> None:
    execution = shared_box.execute("python", "print(input('é\U0001f600' * 100_000))", stdin="ask")
    for output in execution:
        if isinstance(output, InputRequest):
            assert output.prompt.startswith("é\U0001f600")
            execution.reply("ok")
    assert execution.result.exit_code == 0


@pytest.mark.parametrize("code", [
    "raise ValueError('x' * 80_000_000)",
    "raise type('N' * 100_000, (Exception,), {})('text')",
    "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd",
    "raise ValueError('half a character: \\ud83d')",
], ids=["huge", "long-name", "no-text", "surrogate"])
def test_any_exception_is_a_failure_and_the_kernel_lives(shared_box: Sandbox, code: str) -> None:
    run(shared_box, "python", "kept = 1")
    done = run(shared_box, "python", code)
    assert done.result.exit_code == 1
    assert len(done.failure.traceback) < 3_000_000
    done.failure.traceback.encode()
    done.failure.value.encode()
    assert run(shared_box, "python", "kept").values == ["1"]


def test_a_display_of_many_huge_or_odd_forms_shows_what_fits(shared_box: Sandbox) -> None:
    code = ("class Odd:\n    def _repr_mimebundle_(self, **_):\n"
            "        return {'text/html': 'x' * 30_000_000, 'image/png': b'y' * 30_000_000, 'z' * 90_000: 'no',\n"
            "                **{f'text/x{i}': 'few' for i in range(5000)}}\nOdd()")
    (shown,) = [each for each in run(shared_box, "python", code).outputs if isinstance(each, Display)]
    assert len(shown.data["text/html"]) == 30_000_000
    assert "image/png" not in shown.data
    assert len(shown.data) <= 50
    assert run(shared_box, "python", "1").values == ["1"]


def test_a_kernel_killed_in_the_midst_of_a_display_leaves_no_half_of_it(box: Sandbox) -> None:
    code = ("import os, signal, threading\n"
            "threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
            "class Big:\n    def _repr_png_(self): return b'p' * 30_000_000\n"
            "while True: display(Big())")
    done = run(box, "python", code)
    assert done.failure.name == "KernelDied"
    assert "signal 9" in done.failure.traceback
    assert "ppp" not in done.failure.traceback


@pytest.mark.parametrize("message", [
    "b'garbage that is no frame'",
    "frame(b'{\"type\":\"display_data\",\"parts\":[],\"result\":1}')",
    "frame(b'[' * 60_000)",
    "frame(b'{\"type\":\"error\",\"ename\":\"' + b'x' * 65_495 + b'\",\"evalue\":\"\"}')",
    "frame(b'{\"type\":\"done\",\"exit_code\":1e999,\"limit\":null}')",
], ids=["garbage", "wrong-types", "deep", "header-at-its-limit", "endless-number"])
def test_forged_control_messages_cost_the_kernel_only(box: Sandbox, message: str) -> None:
    run(box, "python", "1")
    before = box.container_id
    done = run(box, "python", f"{FRAMES}\nos.write(4, {message})\nimport time; time.sleep(5)")
    assert done.result.exit_code == 137
    assert container_is_the_same(box, before)


def test_forged_fields_are_not_passed_on(box: Sandbox) -> None:
    run(box, "python", "1")
    before = box.container_id
    forged = b'{"type":"error","ename":"Forged","evalue":"","id":99,"self":1,"kind":"x","payload":2}'
    done = run(box, "python", f"{FRAMES}\nos.write(4, frame({forged!r}))\nimport time; time.sleep(0.2)")
    assert [each.name for each in done.outputs if isinstance(each, Failure)] == ["Forged"]
    assert container_is_the_same(box, before)


def test_a_shell_that_writes_to_the_control_descriptor_costs_its_kernel_only(box: Sandbox) -> None:
    run(box, "python", "1")
    before = box.container_id
    assert run(box, "shell", "head -c 100000 /dev/zero | tr '\\0' x >&251; sleep 5").result.exit_code == 137
    assert container_is_the_same(box, before)


def test_a_reset_ends_the_run_that_goes_on(box: Sandbox) -> None:
    execution = box.execute("python", "import time; print('begun', flush=True); time.sleep(60)")
    next(iter(execution))
    box.reset()
    done = finish(execution)
    assert (done.result.exit_code, done.failure.name) == (137, "KernelReset")
    assert run(box, "python", "1").values == ["1"]


def test_resets_leave_no_zombies(box: Sandbox) -> None:
    for _ in range(20):
        run(box, "python", "1")
        box.reset()
    assert run(box, "shell", "cat /proc/[0-9]*/stat | grep -c ') Z '").stdout == "0\n"


def test_shell_cells_leave_no_files_behind(box: Sandbox) -> None:
    for _ in range(20):
        run(box, "shell", ":")
    assert int(run(box, "shell", "ls -d /tmp/sbi-* | wc -l").stdout) == 1


def test_a_full_scratch_space_can_be_emptied_by_the_shell_that_filled_it(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(tmp=8 * 1024 * 1024)) as box:
        run(box, "shell", "head -c 20000000 /dev/zero > /tmp/full")
        done = run(box, "shell", "# a long cell\n" * 10_000)
        assert (done.result.limit, done.failure.name) == ("disk", "KernelFailed")
        assert run(box, "shell", "rm /tmp/full && echo done").stdout == "done\n"
        assert run(box, "shell", "# a long cell\n" * 10_000 + "echo fits").stdout == "fits\n"


def test_a_fifo_where_a_file_is_to_go_is_refused_and_stops_nobody(box: Sandbox, tmp_path: Path) -> None:
    run(box, "shell", "mkfifo in.csv")
    (tmp_path / "in.csv").write_text("data")
    with pytest.raises(TransferError, match=r"in\.csv"):
        box.upload(tmp_path / "in.csv")
    assert run(box, "python", "1").values == ["1"]


def test_a_drip_between_two_cells_comes_with_the_next_one(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(grace=0.5)) as box:
        code = ("import os, threading\n"
                "def drip():\n    for i in range(60_000): os.write(1 + i % 2, b'.')\n"
                "t = threading.Thread(target=drip)\nt.start()")
        first = run(box, "python", code)  # which gets what is written before its end is known
        time.sleep(1.0)
        done = run(box, "python", "t.join()")
        assert done.result.exit_code == 0
        assert 0 < (first.stdout + done.stdout).count(".") <= 30_000


def test_many_small_writes_wait_for_a_reader_that_takes_its_time(box: Sandbox) -> None:
    execution = box.execute("python", "import os\nfor i in range(150_000): os.write(1, b'x')")
    first = next(iter(execution))
    time.sleep(1.5)
    done = finish(execution)
    assert (len(first.data) + len(done.stdout), done.result.exit_code) == (150_000, 0)  # type: ignore[union-attr]  # a Stream


def test_a_child_that_cannot_be_made_ready_does_not_become_a_second_agent(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(grace=0.5)) as box:
        box._environment = {"": "x"}  # what the host refuses
        done = run(box, "python", "1", timeout=5)
        assert (done.failure.name, done.result.exit_code) == ("KernelDied", 1)
        assert done.stderr == ""
        assert box.container_id
        assert len(engine.client.top(box.container_id)["Processes"]) == 2  # init and the agent
