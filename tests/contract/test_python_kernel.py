"""What the Python kernel does beyond what every kernel does."""

from __future__ import annotations

import time

import pytest

from sandbox_interpreter.sandbox.outputs import ActiveLine, Display, InputRequest
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.runs import Run, run


def test_the_last_expression_is_shown_and_kept(shared_box: Sandbox) -> None:
    assert run(shared_box, "python", "a = 20\na * 2 + 2").values == ["42"]
    assert run(shared_box, "python", "_ + 1").values == ["43"]


@pytest.mark.parametrize("code", ["None", "x = 1", "2 + 2;", "# nothing", ""])
def test_nothing_is_shown_where_there_is_no_value(shared_box: Sandbox, code: str) -> None:
    done = run(shared_box, "python", code)
    assert (done.outputs, done.result.exit_code) == ([], 0)


def test_await_works_at_top_level_and_one_loop_serves_all_cells(shared_box: Sandbox) -> None:
    run(shared_box, "python", "import asyncio\nloop = asyncio.get_event_loop_policy()\nq = asyncio.Queue()\n"
                              "t = asyncio.ensure_future(asyncio.sleep(0)) if False else None\nawait q.put(7)")
    assert run(shared_box, "python", "await q.get()").values == ["7"]


def test_top_level_await_is_interrupted(patient_box: Sandbox) -> None:
    run(patient_box, "python", "import asyncio")  # which may take longer than the time limit
    done = run(patient_box, "python", "await asyncio.sleep(60)", timeout=0.5)
    assert (done.result.exit_code, done.result.limit) == (124, "time")
    assert run(patient_box, "python", "await asyncio.sleep(0, 'alive')").values == ["'alive'"]


COUNTING = """
import signal, time
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
print("ready", flush=True)
end = time.monotonic() + 1
while time.monotonic() < end: time.sleep(0.05)
print(len(heard))
"""


@pytest.mark.parametrize("script", [None, Script("counting.py")], ids=["cell", "script"])
def test_a_handler_of_the_codes_own_hears_an_interrupt_once(patient_box: Sandbox, script: Script | None) -> None:
    execution = patient_box.execute("python", COUNTING, script=script)
    outputs = []
    for output in execution:
        outputs.append(output)
        if len(outputs) == 1:
            execution.interrupt()
    assert Run(outputs, execution.result).stdout == "ready\n1\n"


def test_rich_forms_come_with_the_plain_one(shared_box: Sandbox) -> None:
    done = run(shared_box, "python", "class A:\n    def _repr_html_(self): return '<b>é</b>'\nA()")
    (shown,) = done.outputs
    assert isinstance(shown, Display)
    assert shown.result
    assert shown.data["text/html"] == "<b>é</b>".encode()
    assert shown.data["text/plain"].startswith(b"<__main__.A object")


def test_a_broken_repr_is_named_and_does_not_fail_the_cell(shared_box: Sandbox) -> None:
    done = run(shared_box, "python", "class B:\n    def __repr__(self): raise KeyError(1)\nB()")
    assert done.values == ["<B whose repr raised KeyError>"]
    assert done.result.exit_code == 0


def test_display_keeps_its_place_among_prints(shared_box: Sandbox) -> None:
    kinds = [type(each).__name__ for each in run(
        shared_box, "python", "print('a')\ndisplay(1)\nprint('b')").outputs]
    assert kinds == ["Stream", "Display", "Stream"]


@pytest.mark.parametrize("finish", ["plt.show()", "fig = 1"])
def test_a_figure_becomes_one_png(shared_box: Sandbox, finish: str) -> None:
    done = run(shared_box, "python", f"import matplotlib.pyplot as plt\nplt.plot([1, 2])\n{finish}")
    (shown,) = [each for each in done.outputs if isinstance(each, Display) and "image/png" in each.data]
    assert shown.data["image/png"].startswith(b"\x89PNG\r\n")


def test_a_picture_larger_than_a_frame_arrives_whole(shared_box: Sandbox) -> None:
    code = ("import os\nclass P:\n    def _repr_png_(self): return b'\\x89PNG' + bytes(5_000_000)\n    "
            "def __repr__(self): return 'P'\nP()")
    (shown,) = run(shared_box, "python", code).outputs
    assert isinstance(shown, Display)
    assert shown.data["image/png"] == b"\x89PNG" + bytes(5_000_000)
    assert shown.data["text/plain"] == b"P"


@pytest.mark.parametrize(("code", "expected"), [
    ("!echo hi", "hi\n"),
    ("%%bash\necho yo", "yo\n"),
    ("x = !echo line\nprint(x[0])", "line\n"),
])
def test_cells_with_ipython_syntax_run(shared_box: Sandbox, code: str, expected: str) -> None:
    assert run(shared_box, "python", code).stdout == expected


def test_ipython_cells_share_the_namespace_and_report_errors_alike(box: Sandbox) -> None:
    run(box, "python", "n = 5")
    assert run(box, "python", "%time n + 1").values == ["6"]
    done = run(box, "python", "%time pass\n1/0")
    assert done.failure.name == "ZeroDivisionError"
    assert "line 2" in done.failure.traceback
    assert "SyntaxError" not in done.failure.traceback
    assert run(box, "python", "n").values == ["5"]


def test_a_syntax_error_points_at_the_place(shared_box: Sandbox) -> None:
    done = run(shared_box, "python", "def f(:\n    pass")
    assert done.failure.name == "SyntaxError"
    assert "def f(:" in done.failure.traceback


def test_a_chained_error_shows_the_users_frames_only(shared_box: Sandbox) -> None:
    done = run(shared_box, "python", "try:\n    1/0\nexcept Exception as e:\n    raise ValueError('x') from e")
    assert "ZeroDivisionError" in done.failure.traceback
    assert "direct cause" in done.failure.traceback
    assert "sbi_agent" not in done.failure.traceback


def test_a_deep_traceback_is_cut_in_the_middle(shared_box: Sandbox) -> None:
    code = "import sys\nsys.setrecursionlimit(5000)\ndef f(n):\n    g(n)\ndef g(n):\n    f(n)\nf(1)"
    done = run(shared_box, "python", code)
    assert done.failure.name == "RecursionError"
    assert len(done.failure.traceback.splitlines()) < 500


def test_sys_exit_ends_the_cell_with_its_code_and_keeps_the_state(box: Sandbox) -> None:
    run(box, "python", "kept = 1")
    assert run(box, "python", "import sys\nsys.exit(4)").result.exit_code == 4
    message = run(box, "python", "raise SystemExit('bye')")
    assert (message.result.exit_code, message.stderr) == (1, "bye\n")
    assert run(box, "python", "kept").values == ["1"]


def test_input_asks_whoever_runs_the_cell(box: Sandbox) -> None:
    execution = box.execute("python", "name = input('name? ')\nname", stdin="ask")
    asked = next(iter(execution))
    assert asked == InputRequest("name? ")
    execution.reply("Ada")
    (shown,) = list(execution)
    assert isinstance(shown, Display)
    assert shown.data["text/plain"] == b"'Ada'"


def test_input_without_anyone_to_answer_fails_clearly(shared_box: Sandbox) -> None:
    done = run(shared_box, "python", "input()")
    assert done.failure.name == "EOFError"
    assert "no one to answer" in done.failure.value


def test_the_active_line_is_reported_without_touching_the_code(shared_box: Sandbox) -> None:
    code = "import time, inspect\ntime.sleep(0.2)\nx = 1\ntime.sleep(0.2)"
    lines = [each.line for each in run(shared_box, "python", code, active_line=True).outputs
             if isinstance(each, ActiveLine)]
    assert lines == [2, 4, None]


def test_processes_and_pickles_find_what_cells_define(shared_box: Sandbox) -> None:
    code = ("import multiprocessing as mp, pickle\ndef double(x): return x * 2\n"
            "with mp.get_context('fork').Pool(2) as pool: print(pool.map(double, [1, 2]))\n"
            "print(pickle.loads(pickle.dumps(double))(4))")
    assert run(shared_box, "python", code).stdout == "[2, 4]\n8\n"


def test_running_out_of_memory_takes_the_cell_and_not_the_session(box: Sandbox) -> None:
    run(box, "shell", "kept=yes")
    done = run(box, "python", "x = bytearray(3 << 30)\nx[::4096] = b'1' * len(x[::4096])")
    assert (done.result.exit_code, done.result.limit) == (137, "memory")
    assert "memory" in done.failure.value
    assert run(box, "shell", "echo $kept").stdout == "yes\n"


def test_a_full_disk_is_named_as_the_limit(box: Sandbox) -> None:
    done = run(box, "python", "with open('/dev/shm/full', 'wb') as f:\n    while True: f.write(bytes(1 << 20))")
    assert done.result.limit == "disk"
    assert done.failure.name == "OSError"


def test_too_many_processes_are_named_as_the_limit_and_the_sandbox_recovers(box: Sandbox) -> None:
    threads = "threading.Thread(target=time.sleep, args=(1.5,), daemon=True).start()"
    done = run(box, "python", f"import threading, time\nfor _ in range(1000): {threads}")
    assert done.result.limit == "pids"
    blocked = run(box, "shell", "echo alive")
    assert (blocked.result.limit, blocked.failure.name) == ("pids", "KernelFailed")
    time.sleep(2)
    assert run(box, "shell", "echo alive").stdout == "alive\n"
