"""Code that fills the disk of its workspace loses its sandbox; the host keeps what it needs of the disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.disk import Room
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run

POLICY = Policy(grace=0.5, reserve=64 * MIB)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a folder that is a disk of its own, of 256 MiB and 30,000 files."""
    # An engine of the matrix sees what is mounted there, and nowhere else.
    folder = Path(os.environ.get("MATRIX_DISKS") or tmp_path) / tmp_path.name
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m,nr_inodes=30000,mode=777", "disk",
                                            folder], check=False).returncode:
        pytest.skip("a disk of its own needs leave to mount one")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


# Slower than a disk of 256 MiB is filled between two looks.
SLOWLY = "import time\nfor n in range(100_000):\n    {write}\n    time.sleep(0.01)"
BYTES = SLOWLY.format(write="open('big', 'ab').write(bytes(1 << 20))")
HIDDEN = "import os\nfile = open('gone', 'wb')\nos.unlink('gone')\n" + SLOWLY.format(
    write="file.write(bytes(1 << 20)); file.flush()")
FILES = SLOWLY.format(write="[open(f'f{n}-{m}', 'w').close() for m in range(200)]")


@pytest.mark.parametrize("code", [BYTES, HIDDEN, FILES], ids=["bytes", "deleted-and-open", "empty-files"])
def test_the_run_ends_before_the_disk_is_full_and_the_next_one_can_make_room(disk: Path, engine: DockerEngine,
                                                                            code: str) -> None:
    with Sandbox(engine=engine, policy=POLICY, workspace=disk, notify=lambda _: None) as box:
        run(box, "shell", "echo kept > file")
        done = run(box, "python", code, timeout=60)
        assert (done.result.exit_code, done.result.limit) == (137, "disk")
        assert "disk of the workspace" in done.failure.traceback
        left = Room.of(disk)
        assert left.size > 10 * MIB
        assert left.files
        assert run(box, "shell", "cat file; find . -name 'f*-*' -delete; rm -f big; echo free").stdout == "kept\nfree\n"


def test_what_fills_the_disk_between_two_runs_is_ended_too(disk: Path, engine: DockerEngine,
                                                          notices: list[str]) -> None:
    with Sandbox(engine=engine, policy=POLICY, workspace=disk, notify=notices.append) as box:
        run(box, "python", f"import os\nif not os.fork():\n    exec({BYTES!r})")
        assert box._instance is not None
        assert box._instance.channel.ended.wait(30)
        assert Room.of(disk).size > 10 * MIB
        assert run(box, "shell", "rm big && echo free").stdout == "free\n"
    assert "disk of the workspace" in notices[0]


def test_a_disk_that_is_almost_full_already_can_be_worked_on(disk: Path, engine: DockerEngine) -> None:
    (disk / "big").write_bytes(bytes(220 * MIB))
    with Sandbox(engine=engine, policy=POLICY, workspace=disk) as box:
        assert run(box, "shell", "head -c 1000000 /dev/zero > small; rm big; echo done").stdout == "done\n"


def test_the_folder_of_installed_packages_is_watched_too(disk: Path, engine: DockerEngine, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    (tmp_path / "shared").mkdir(mode=0o755)
    policy = replace(POLICY, network="example.com", access="ro")
    with Sandbox(engine=engine, policy=policy, workspace=f"{tmp_path}/shared:ro", notify=lambda _: None) as box:
        done = run(box, "python", f"import os; os.chdir(os.path.expanduser('~/.local'))\n{BYTES}", timeout=60)
        assert (done.result.exit_code, done.result.limit) == (137, "disk")
    assert list(disk.iterdir()) == []


# --- the sandbox's own limit, long before the disk is full ---

LIMITED = Policy(grace=0.5, reserve=16 * MIB, disk=48 * MIB)
CLOSED = "import os\nos.mkdir('d'); file = open('d/x', 'wb'); os.chmod('d', 0)\n" + SLOWLY.format(
    write="file.write(bytes(1 << 20)); file.flush()")
SPREAD = SLOWLY.format(write="[open(f's{n}-{m}', 'wb').write(bytes(5000)) for m in range(200)]")
NAMED_TWICE = SLOWLY.format(write="open(f'a{n}', 'wb').write(bytes(1 << 20)); os.link(f'a{n}', f'b{n}')")
EMPTY = SLOWLY.format(write="[open(f'f{n}-{m}', 'w').close() for m in range(100)]")


@pytest.mark.parametrize("code", [BYTES, HIDDEN, CLOSED, SPREAD, f"import os\n{NAMED_TWICE}", EMPTY],
                         ids=["bytes", "deleted-and-open", "closed-folder", "spread", "named-twice", "empty-files"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "private"])
def test_the_run_ends_when_code_has_added_more_to_the_workspace_than_it_may(
        disk: Path, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch, code: str, shared: bool) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    work = disk / "work"
    work.mkdir(mode=0o777)
    work.chmod(0o777)
    (work / "old").write_bytes(bytes(64 * MIB))  # more than the limit, and not the code's
    with Sandbox(engine=engine, policy=LIMITED, workspace=work if shared else None, notify=lambda _: None) as box:
        run(box, "shell", "echo kept > file")
        done = run(box, "python", code, timeout=60)
        assert (done.result.exit_code, done.result.limit) == (137, "disk")
        assert "more than the setting disk allows (48m)" in done.failure.traceback
        assert "--disk 96m" in done.failure.traceback
        assert Room.of(disk).size > 32 * MIB  # long before the reserve
        clean = "chmod u+rwx d; find . -name '[fsab][0-9]*' -delete; rm -rf d big; cat file"
        assert run(box, "shell", clean).stdout == "kept\n"
        assert run(box, "python", BYTES, timeout=60).result.limit == "disk"  # once more, from the beginning


def test_who_is_over_the_limit_may_delete_but_not_add(disk: Path, engine: DockerEngine,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with Sandbox(engine=engine, policy=LIMITED, notify=lambda _: None) as box:
        for _ in range(3):
            assert run(box, "python", BYTES, timeout=60).result.limit == "disk"
        assert Room.of(disk).size > 32 * MIB  # three times the limit would have filled the disk
        assert run(box, "shell", "rm big; head -c 20M /dev/zero > small; sleep 1; echo done").stdout == "done\n"


def test_what_is_installed_counts_like_what_is_in_the_workspace(disk: Path, engine: DockerEngine,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with Sandbox(engine=engine, policy=replace(LIMITED, network="example.com"), notify=lambda _: None) as box:
        run(box, "shell", "head -c 30M /dev/zero > some")
        done = run(box, "python", f"import os; os.chdir(os.path.expanduser('~/.local'))\n{BYTES}", timeout=60)
        assert (done.result.exit_code, done.result.limit) == (137, "disk")
        assert Room.of(disk).size > 96 * MIB


def test_a_limit_of_nought_is_none(disk: Path, engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with Sandbox(engine=engine, policy=replace(LIMITED, disk=0)) as box:
        assert run(box, "shell", "head -c 100M /dev/zero > some; sleep 1; echo done").stdout == "done\n"


def test_the_command_line_names_the_limit_in_its_result(disk: Path) -> None:
    done = subprocess.run([Path(sys.executable).with_name("sbi"), "run", "--json", "--disk", "32m", "-c", BYTES],
                          env=os.environ | {"TMPDIR": str(disk)}, capture_output=True, text=True, timeout=60,
                          check=False)
    assert json.loads(done.stdout.splitlines()[-1])["limit"] == "disk"
    assert done.returncode == 137


def test_what_comes_out_of_a_copy_run_by_run_is_limited_as_well(engine: DockerEngine, tmp_path: Path,
                                                               notices: list[str]) -> None:
    """What is deleted in the sandbox is kept here, so that code could fill the disk a memory's size at a time."""
    with Sandbox(engine=engine, policy=Policy(grace=0.5, disk=5 * MIB), workspace=f"{tmp_path}:copy",
                 notify=notices.append) as box:
        for number in range(4):
            run(box, "shell", f"rm -f big*; head -c 2M /dev/zero > big{number}; echo {number} > small")
        for name in ("kept", "again"):
            run(box, "shell", f"echo {name} > small")  # what replaces another file takes no more room
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big0", "big1", "small"]
    assert (tmp_path / "small").read_text() == "again\n"
    assert any("big2 (the setting disk allows no more)" in notice for notice in notices)
