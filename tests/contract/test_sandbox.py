"""What a sandbox promises whoever holds it, on a real engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import (
    SandboxClosed,
    TransferError,
)
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.runs import finish, run


def containers(engine: DockerEngine, session: str) -> list[str]:
    return [each.state for each in engine.list({f"{LABEL}.session": session})]


def test_a_shell_may_use_the_descriptors_that_scripts_take(box: Sandbox) -> None:
    for number in (3, 4, 5, 6, 9):
        code = f"exec {number}>&1; echo {number} >&{number}; exec {number}>&-"
        assert run(box, "shell", code).stdout == f"{number}\n"
    assert run(box, "shell", "exec 3</etc/passwd 4>/dev/null 5<>/tmp/both; x=1").result.exit_code == 0
    assert run(box, "shell", "echo $x; head -c 4 <&3").stdout == "1\nroot"


def test_closing_leaves_no_container_and_no_folder(engine: DockerEngine) -> None:
    box = Sandbox(engine=engine)
    run(box, "python", "open('left', 'w').write('x')")
    folder = box.workspace
    assert folder is not None
    assert (folder / "left").exists()
    assert containers(engine, box.session) == ["running"]
    box.close()
    box.close()
    assert containers(engine, box.session) == []
    assert not folder.exists()


def test_a_container_that_is_just_removing_itself_is_gone_when_its_removal_returns(engine: DockerEngine) -> None:
    for _ in range(5):
        box = Sandbox(engine=engine)
        run(box, "python", "1")
        identifier = box.container_id
        assert identifier
        box.close(wait=False)
        engine.get(identifier).remove()
        assert containers(engine, box.session) == []


def test_a_closed_sandbox_says_so(engine: DockerEngine) -> None:
    box = Sandbox(engine=engine)
    box.close()
    with pytest.raises(SandboxClosed, match="closed"):
        box.execute("python", "1")


def test_chunks_open_and_close_once_around_text_and_pictures(shared_box: Sandbox) -> None:
    code = "import matplotlib.pyplot as plt\nprint('a')\nplt.plot([1])\nplt.show()\nprint('b')"
    blocks = []
    for chunk in shared_box.run("python", code):
        if chunk.get("format") == "active_line":
            continue
        if chunk.get("start"):
            blocks.append([chunk.get("format"), ""])
        elif "content" in chunk:
            blocks[-1][1] += chunk["content"]
    assert [kind for kind, _ in blocks] == ["output", "base64.png", "output"]
    assert (blocks[0][1], blocks[2][1]) == ("a\n", "b\n")


def test_a_run_that_prints_nothing_gives_an_empty_console_block(shared_box: Sandbox) -> None:
    chunks = [chunk for chunk in shared_box.run("python", "x = 1") if chunk.get("format") == "output"]
    assert [sorted(chunk.keys() & {"start", "end", "content"}) for chunk in chunks] == [["start"], ["end"]]


def test_leaving_the_chunk_stream_stops_the_loop_in_the_sandbox(box: Sandbox) -> None:
    stream = box.run("python", "import time\nn = 0\nwhile True:\n    n += 1\n    print(n)\n    time.sleep(0.2)")
    for chunk in stream:
        if "2" in str(chunk.get("content", "")):
            break
    stream.close()  # type: ignore[attr-defined]  # the iterator is a generator
    first = run(box, "python", "n").values
    time.sleep(0.6)
    assert run(box, "python", "n").values == first


def test_code_that_ends_the_agent_costs_the_run_only(box: Sandbox, notices: list[str]) -> None:
    run(box, "python", "open('kept.txt', 'w').write('yes')")
    done = run(box, "python", "import os, signal; os.kill(os.getppid(), signal.SIGKILL)")
    assert done.result.exit_code == 137
    assert done.failure.name == "SandboxEnded"
    assert run(box, "shell", "cat kept.txt").stdout == "yes"
    assert any("variables are gone" in notice for notice in notices)


def test_a_removed_container_is_noticed_and_replaced(box: Sandbox, engine: DockerEngine) -> None:
    run(box, "python", "1")
    assert box.container_id
    engine.get(box.container_id).remove()
    time.sleep(0.3)
    assert run(box, "python", "print('new')").stdout == "new\n"


def test_environment_and_secrets_reach_the_code_and_nothing_else(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, env={"COLOUR": "grün"}, secrets={"TOKEN": "hush-7261"}) as box:
        assert run(box, "python", "import os; print(os.environ['COLOUR'], os.environ['TOKEN'])").stdout == (
            "grün hush-7261\n")
        assert run(box, "shell", "echo $TOKEN").stdout == "hush-7261\n"
        assert box.container_id
        assert "hush-7261" not in str(engine.client.inspect_container(box.container_id))
        assert run(box, "shell", "tr '\\0' ' ' < /proc/1/cmdline").stdout.count("hush-7261") == 0


def test_reset_forgets_variables_and_keeps_files(box: Sandbox) -> None:
    run(box, "python", "x = 1\nopen('f', 'w').write('kept')")
    box.reset()
    assert run(box, "python", "x").failure.name == "NameError"
    assert run(box, "shell", "cat f").stdout == "kept"


def test_files_go_in_and_out(box: Sandbox, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    source = tmp_path / "in.bin"
    source.write_bytes(data)
    box.upload(source, "deep/er/in.bin")
    run(box, "shell", "cp deep/er/in.bin deep/out.bin; mkdir -p sub; echo hi > sub/a.txt; ln -s /etc/passwd sub/link")
    copied = box.download("deep/*.bin", tmp_path / "out") + box.download("sub/*", tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in copied] == ["deep/out.bin", "sub/a.txt"]
    assert copied[0].read_bytes() == data


def test_an_upload_to_a_place_that_cannot_be_written_fails_clearly(shared_box: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(TransferError, match="/etc/x"):
        shared_box.upload(tmp_path / "f", "/etc/x")
    assert run(shared_box, "python", "1").result.exit_code == 0


def test_the_workspace_is_mounted_with_its_owners_uid(engine: DockerEngine, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    os.chown(folder, 4321, 4321)
    with Sandbox(engine=engine, workspace=folder) as box:
        assert run(box, "shell", "id -u; echo hi > made; pwd").stdout == "4321\n/workspace\n"
    assert ((folder / "made").stat().st_uid, (folder / "made").read_text()) == (4321, "hi\n")


def test_a_read_only_workspace_cannot_be_written(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    tmp_path.chmod(0o755)
    with Sandbox(engine=engine, workspace=f"{tmp_path}:ro", notify=lambda _: None) as box:
        assert run(box, "shell", "cat f").stdout == "x"
        assert "Read-only" in run(box, "shell", "echo y > f").stderr


def test_a_killed_host_process_leaves_no_container_after_the_idle_time(engine: DockerEngine) -> None:
    program = ("from sandbox_interpreter.sandbox.sandbox import Sandbox\n"
               "from sandbox_interpreter.sandbox.policy import Policy\nimport time\n"
               "box = Sandbox(policy=Policy(idle=2))\n"
               "list(box.execute('python', '1'))\nprint(box.session, box.workspace, flush=True)\ntime.sleep(60)\n")
    client = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    session, folder = client.stdout.readline().split()
    time.sleep(3)
    assert containers(engine, session) == ["running"]
    client.send_signal(signal.SIGKILL)
    client.wait()
    client.stdout.close()
    deadline = time.monotonic() + 6
    while containers(engine, session) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert containers(engine, session) == []
    with suppress(FileNotFoundError):  # any sbi on this machine may tidy it up
        Path(folder).rmdir()


def test_a_second_client_finds_all_state(engine: DockerEngine) -> None:
    box = Sandbox(engine=engine)
    run(box, "python", "x = 42")
    box.detach()
    with Sandbox(engine=engine, session=box.session) as second:
        (last,) = second.reattach()
        assert finish(last).result.exit_code == 0
        assert run(second, "python", "x").values == ["42"]
    box.close()
    assert containers(engine, box.session) == []


def test_a_second_client_gets_what_was_written_while_nobody_listened(engine: DockerEngine) -> None:
    box = Sandbox(engine=engine, policy=Policy(idle=4))
    execution = box.execute("python", "import time\nfor i in range(40):\n    print(i)\n    time.sleep(0.1)")
    next(iter(execution))
    box.detach()
    time.sleep(3)
    with Sandbox(engine=engine, session=box.session, policy=Policy(idle=4)) as second:
        (running,) = second.reattach()
        done = finish(running)
    assert done.stdout == "".join(f"{i}\n" for i in range(40))
    assert done.result.exit_code == 0
    box.close()


def test_a_client_that_dies_in_mid_frame_does_not_confuse_the_next(engine: DockerEngine) -> None:
    box = Sandbox(engine=engine)
    run(box, "python", "x = 1")
    assert box._instance is not None
    from sandbox_interpreter.agent.frames import encode

    whole = encode("execute_request", b"x = 666", id=99, language="python", mode="cell", name="", argv=[], timeout=0,
                   stdin="none", active_line=False, credit=1)
    box._instance.channel.send_raw(whole[: len(whole) - 8])
    box.detach()
    with Sandbox(engine=engine, session=box.session) as second:
        second.reattach()
        assert run(second, "python", "x").values == ["1"]
    box.close()


def test_a_script_gets_arguments_stdin_and_its_exit_code(shared_box: Sandbox) -> None:
    code = "import sys\nprint(sys.argv[1:], sys.stdin.read())\nsys.exit(9)"
    execution = shared_box.execute("python", code, script=Script("tool.py", ("a", "--b")), stdin="pipe")
    execution.send_stdin(b"given")
    execution.close_stdin()
    done = finish(execution)
    assert (done.stdout, done.result.exit_code) == ("['a', '--b'] given\n", 9)


def test_stdin_larger_than_every_buffer_reaches_a_slow_program(shared_box: Sandbox) -> None:
    code = "import sys, time\ntime.sleep(0.5)\nprint(len(sys.stdin.buffer.read()))"
    execution = shared_box.execute("python", code, script=Script(), stdin="pipe")

    def feed() -> None:
        execution.send_stdin(bytes(5_000_000))
        execution.close_stdin()

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert finish(execution).stdout == "5000000\n"
    feeder.join()


def test_a_program_that_ignores_its_stdin_does_not_hang_the_feeder(shared_box: Sandbox) -> None:
    execution = shared_box.execute("python", "pass", script=Script(), stdin="pipe")
    feeder = threading.Thread(target=lambda: execution.send_stdin(bytes(5_000_000)))
    feeder.start()
    assert finish(execution).result.exit_code == 0
    feeder.join(5)
    assert not feeder.is_alive()


def test_atexit_functions_and_threads_of_a_script_finish(shared_box: Sandbox) -> None:
    code = ("import atexit, threading, time\natexit.register(print, 'bye')\n"
            "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\nprint('main')")
    assert run(shared_box, "python", code, script=Script()).stdout == "main\nthread\nbye\n"


def test_a_cell_longer_than_a_frame_runs(shared_box: Sandbox) -> None:
    assert run(shared_box, "python", f"x = '{'é' * 300_000}'\nlen(x)").values == ["300000"]


def test_the_output_limit_stops_a_flood(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(output=1_000_000, grace=0.5)) as box:
        execution = box.execute("python", "while True: print('x' * 1000)")
        size = sum(len(each.data) for each in execution if isinstance(each, Stream))
        assert execution.result.limit == "output"
        assert 1_000_000 < size < 12_000_000


def test_many_sandboxes_at_once_do_not_mix(engine: DockerEngine) -> None:
    boxes = [Sandbox(engine=engine) for _ in range(6)]
    executions = [box.execute("python", f"print('box {number}')") for number, box in enumerate(boxes)]
    assert [finish(each).stdout for each in executions] == [f"box {number}\n" for number in range(6)]
    for box in boxes:
        box.close()


@pytest.mark.parametrize("delay", [0.0, 0.005, 0.02, 0.05])
@pytest.mark.parametrize("script", [None, Script("early.py")], ids=["cell", "script"])
def test_an_interrupt_at_the_very_beginning_is_not_lost(patient_box: Sandbox, delay: float,
                                                        script: Script | None) -> None:
    run(patient_box, "shell", ":")
    execution = patient_box.execute("python", "while True: pass", script=script)
    time.sleep(delay)
    execution.interrupt()
    done = finish(execution)
    assert (done.result.exit_code, done.result.interrupted) == (130, True)  # the ladder's next step would say 143


def test_more_processors_than_the_machine_has_are_no_error(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(cpus=512)) as box:
        assert run(box, "python", "1").values == ["1"]
