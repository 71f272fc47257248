"""A workspace that is a copy: what changes on one side is on the other by the next look, and nothing is lost."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.image_base import Progress
from sandbox_interpreter.errors import FolderUnseen, WorkspaceError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sessions import store
from tests.support.runs import run

Open = Callable[..., Sandbox]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (folder := tmp_path / "work").mkdir(mode=0o700)
    (folder / "in.txt").write_text("6")
    return folder


@pytest.fixture
def copied(engine: DockerEngine, work: Path, notices: list[str]) -> Iterator[Open]:
    boxes: list[Sandbox] = []

    def make(**options: object) -> Sandbox:
        boxes.append(Sandbox("base", engine=engine, workspace=f"{work}:copy", notify=notices.append,
                             **{"policy": Policy(grace=0.5), **options}))  # type: ignore[arg-type]  # as the caller has it
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


WAIT = "while ! [ -e /tmp/go ]; do sleep 0.1; done"


def go_on(box: Sandbox) -> None:
    """Let code that does WAIT go on."""
    box.upload(io.BytesIO(b"go"), "/tmp/go")


def shell(box: Sandbox, code: str) -> str:
    done = run(box, "shell", code)
    assert done.result.exit_code == 0, done.stderr
    return done.stdout


def test_files_go_in_at_the_start_and_what_changed_comes_out_after_each_run(copied: Open, work: Path,
                                                                           notices: list[str]) -> None:
    box = copied()
    code = "cat in.txt; echo $(($(cat in.txt) * 7)) > out.txt; mkdir -p new/deep empty; echo a > new/deep/a"
    assert shell(box, code) == "6"
    assert {path.relative_to(work).as_posix() for path in work.rglob("*")} == {
        "in.txt", "out.txt", "new", "new/deep", "new/deep/a", "empty"}
    assert (work / "out.txt").read_text() == "42\n"
    shell(box, "echo 43 > out.txt")
    assert (work / "out.txt").read_text() == "43\n"
    assert notices == []


def test_without_copy_a_folder_is_shared_and_refused_by_an_engine_that_does_not_see_it(engine: DockerEngine,
                                                                                      tmp_path: Path) -> None:
    (folder := tmp_path / "shared").mkdir()
    folder.chmod(0o777)
    with Sandbox("base", engine=engine, workspace=folder, notify=lambda _: None) as box:
        if os.environ.get("MATRIX_FAR"):
            with pytest.raises(FolderUnseen, match="another machine") as caught:
                run(box, "shell", "true")
            assert caught.value.next_step == f"Let it travel by copy, both ways: -w {folder}:copy"
        else:
            shell(box, "echo 1 > file")
            assert (folder / "file").read_text() == "1\n"


def test_what_changes_here_is_there_in_the_next_run(copied: Open, work: Path, notices: list[str]) -> None:
    box = copied()
    assert shell(box, "cat in.txt") == "6"
    (work / "in.txt").write_text("seven")
    (work / "sub").mkdir()
    (work / "sub" / "new.txt").write_text("new")
    assert shell(box, "cat in.txt sub/new.txt") == "sevennew"
    assert notices == []


def test_what_changed_on_both_sides_is_kept_twice_and_said(copied: Open, work: Path, notices: list[str]) -> None:
    box = copied()
    shell(box, "true")
    outputs = iter(box.execute("shell", f"echo theirs > in.txt; echo ready; {WAIT}"))
    next(outputs)
    (work / "in.txt").write_text("mine")
    go_on(box)
    list(outputs)
    assert (work / "in.txt").read_text() == "mine"
    assert (work / "in.txt.from-sandbox").read_text() == "theirs\n"
    assert len(notices) == 1
    assert "in.txt (the sandbox's: in.txt.from-sandbox)" in notices[0]
    shell(box, "echo again > in.txt")
    assert ((work / "in.txt").read_text(), (work / "in.txt.from-sandbox").read_text()) == ("mine", "again\n")
    (work / "in.txt.from-sandbox").unlink()  # it is settled: ours goes in again
    assert shell(box, "cat in.txt") == "mine"
    shell(box, "echo theirs again > in.txt")
    assert (work / "in.txt").read_text() == "theirs again\n"
    assert len(notices) == 1


def test_the_same_change_on_both_sides_is_none(copied: Open, work: Path, notices: list[str]) -> None:
    box = copied()
    outputs = iter(box.execute("shell", f"echo same > in.txt; echo ready; {WAIT}"))
    next(outputs)
    (work / "in.txt").write_text("same\n")
    go_on(box)
    list(outputs)
    assert [path.name for path in work.iterdir()] == ["in.txt"]
    assert notices == []


def test_nothing_is_deleted_here_and_that_is_said_once(copied: Open, work: Path, notices: list[str]) -> None:
    box = copied()
    shell(box, "rm in.txt")
    shell(box, "true")
    assert (work / "in.txt").read_text() == "6"
    assert notices == [f"Deleted in the sandbox, kept in {work}: in.txt."]
    (work / "in.txt").write_text("changed")
    assert shell(box, "cat in.txt") == "changed"


def test_permissions_stay_and_programs_can_be_executed(copied: Open, work: Path) -> None:
    (work / "private").write_text("1")
    (work / "private").chmod(0o600)
    (work / "tool").write_text("#!/bin/sh\necho tool")
    (work / "tool").chmod(0o755)
    box = copied()
    code = "./tool; echo 2 > private; chmod 777 private; printf '#!/bin/sh\\n' > made; chmod 755 made"
    assert shell(box, code) == "tool\n"
    assert stat.S_IMODE((work / "private").stat().st_mode) == 0o700
    assert stat.S_IMODE((work / "made").stat().st_mode) & 0o111 == 0o111
    assert os.access(work / "tool", os.X_OK)


def test_links_are_copied_in_and_none_comes_out(copied: Open, work: Path, notices: list[str], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (work / "outside").symlink_to(tmp_path / "secret")
    (work / "inside").symlink_to("in.txt")
    os.mkfifo(work / "fifo")
    box = copied()
    code = "cat inside; cat outside 2>/dev/null || echo nothing; ln -s /etc/passwd planted; mkfifo pipe"
    assert shell(box, code) == "6nothing\n"
    assert sorted(path.name for path in work.iterdir()) == ["fifo", "in.txt", "inside", "outside"]
    assert notices == [f"Not copied into the sandbox from {work}: fifo (no file).",
                       f"Left in the sandbox, not in {work}: pipe (no file), planted (a link)."]


def test_a_file_in_the_place_of_a_folder_is_left_and_said(copied: Open, work: Path, notices: list[str]) -> None:
    (work / "sub").mkdir()
    (work / "sub" / "a").write_text("a")
    box = copied()
    shell(box, "rm -r sub; echo file > sub; rm in.txt; mkdir in.txt; echo b > in.txt/b; echo c > c")
    assert (work / "sub" / "a").read_text() == "a"
    assert (work / "in.txt").read_text() == "6"
    assert (work / "c").read_text() == "c\n"
    assert "sub (a folder is in its way)" in " ".join(notices)
    assert "in.txt (what is no folder is in its way)" in " ".join(notices)


def test_a_folder_that_is_too_large_is_refused_before_anything_runs(engine: DockerEngine, work: Path) -> None:
    (work / "large").write_bytes(bytes(17 * MIB))
    said = r"it has 18 MiB and 2 files and folders or more, and there is room for 16 MiB and 2048"
    with Sandbox("base", engine=engine, workspace=f"{work}:copy", policy=Policy(memory=64 * MIB)) as box, \
            pytest.raises(WorkspaceError, match=said) as caught:
        run(box, "shell", "true")
    assert "--memory" in caught.value.next_step


def test_a_long_copy_shows_how_far_it_is(copied: Open, work: Path) -> None:
    steps: list[Progress] = []
    for number in range(4):
        (work / f"{number}.bin").write_bytes(os.urandom(MIB))
    box = copied(progress=steps.append)
    shell(box, "cat *.bin > all; rm ?.bin")
    assert [(step.text, step.done) for step in steps] == [
        *(("Copying work into the sandbox", n * MIB) for n in range(1, 5)),
        ("Copying work into the sandbox", 4 * MIB + 1), ("Copying what has changed into work", 4 * MIB)]
    assert (work / "all").stat().st_size == 4 * MIB


def test_a_container_that_is_killed_costs_no_more_than_its_last_run(copied: Open, work: Path, engine: DockerEngine,
                                                                   notices: list[str]) -> None:
    box = copied()
    shell(box, "echo kept > first")
    execution = box.execute("shell", "echo lost > second; echo ready; sleep 60")
    outputs = iter(execution)
    next(outputs)
    assert box.container_id
    engine.client.kill(box.container_id)
    list(outputs)
    assert shell(box, "cat first; ls") == "kept\nfirst\nin.txt\n"
    assert [notice for notice in notices if "ended before its files were copied" in notice]
    assert [notice for notice in notices if "files are as the last run left them" in notice]


def test_what_a_process_in_the_background_wrote_comes_out_at_the_end(copied: Open, work: Path) -> None:
    box = copied()
    shell(box, f"({WAIT}; echo late > draft; mv draft late) >/dev/null 2>&1 &")
    assert not (work / "late").exists()
    go_on(box)
    while box.files("late") == []:
        time.sleep(0.1)
    assert not (work / "late").exists()
    box.close()
    assert (work / "late").read_text() == "late\n"


def test_too_many_files_are_refused_before_anything_runs(engine: DockerEngine, work: Path) -> None:
    for number in range(50):
        (work / f"{number:100}").mkdir()
        for inner in range(50):
            (work / f"{number:100}" / str(inner)).touch()
    with Sandbox("base", engine=engine, workspace=f"{work}:copy", policy=Policy(memory=64 * MIB)) as box, \
            pytest.raises(WorkspaceError, match="does not fit into the sandbox"):
        run(box, "shell", "true")


def test_closing_in_the_midst_of_a_run_does_not_wait_for_what_it_writes_and_says_so(
        copied: Open, work: Path, notices: list[str]) -> None:
    box = copied()
    execution = box.execute("shell", "echo half > half; echo ready; sleep 60")
    next(iter(execution))
    box.close()
    assert not (work / "half").exists()
    assert notices == [f"What the run that was cut short has written is not in {work}."]


KILLED = """
import os, sys
from sandbox_interpreter import Interpreter
interpreter = Interpreter(model=f"scripted:{sys.argv[1]}", image="base", workspace=sys.argv[2], auto_run=True)
for chunk in interpreter.chat("go", stream=True, display=False):
    if "begun" in str(chunk.get("content", "")) and chunk["role"] == "computer":
        os._exit(9)
"""


def test_a_conversation_that_was_killed_has_its_files_once_it_is_taken_up_again(work: Path, tmp_path: Path) -> None:
    code = "echo one > out; echo 7 > in.txt; echo begun; sleep 2; echo two > out"
    (tmp_path / "script.yaml").write_text(yaml.safe_dump(
        {"turns": [{"text": "I run it.", "language": "shell", "code": code}, {"text": "Done."}]}))
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "script.yaml", f"{work}:copy"], check=False)
    assert not (work / "out").exists()
    with Interpreter(model="demo") as interpreter:
        interpreter.workbench.resume(store.every()[0])
        assert interpreter.settings.workspace == f"{work}:copy"
        list(interpreter.workbench.catch_up())
        assert ((work / "out").read_text(), (work / "in.txt").read_text()) == ("two\n", "7\n")
        assert sorted(path.name for path in work.iterdir()) == ["in.txt", "out"]


def test_a_disk_that_is_almost_full_is_spared(copied: Open, work: Path, notices: list[str]) -> None:
    box = copied(policy=Policy(grace=0.5, reserve=2**60))
    shell(box, "echo much > much")
    assert not (work / "much").exists()
    assert notices == [f"Left in the sandbox, not in {work}: much (the disk is almost full)."]
