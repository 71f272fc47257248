from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from sandbox_interpreter.errors import WorkspaceError
from sandbox_interpreter.sandbox import owner, private
from sandbox_interpreter.sandbox.owner import has_rebooted, owner_label, owner_state
from sandbox_interpreter.sandbox.workspace import SANDBOX_UID

ROOT = os.geteuid() == 0


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def of_a_dead_process(code: str) -> str:
    """Return what a process printed that has ended since."""
    code = f"from sandbox_interpreter.sandbox import owner, private\nprint({code})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                            env=os.environ | {"TMPDIR": tempfile.gettempdir()})
    return result.stdout.strip()


def test_a_private_workspace_is_empty_closed_to_others_and_the_sandbox_users(temporary: Path) -> None:
    made = private.create()
    found = made.folder.stat()
    assert list(made.folder.iterdir()) == []
    assert stat.S_IMODE(found.st_mode) == stat.S_IMODE(made.folder.parent.stat().st_mode) == 0o700
    assert found.st_uid == (SANDBOX_UID if ROOT else os.geteuid())
    assert (made.access, made.notice) == ("rw", "")
    assert made.user == (f"{SANDBOX_UID}:{SANDBOX_UID}" if ROOT else f"{os.geteuid()}:{os.getegid()}")
    (made.folder / "left").mkdir(mode=0)
    private.remove(made.folder)
    private.remove(made.folder)
    assert list(temporary.iterdir()) == []


def test_a_temporary_folder_that_cannot_be_written_is_said(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "nowhere"))
    with pytest.raises(WorkspaceError, match="private workspace") as caught:
        private.create()
    assert "TMPDIR" in caught.value.next_step


def test_an_owner_that_cannot_be_written_leaves_no_folder(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private, "owner_label", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        private.create()
    assert list(temporary.iterdir()) == []


def test_what_a_living_process_uses_is_not_abandoned() -> None:
    private.create()
    assert list(private.abandoned()) == []


def test_what_an_ended_process_left_is_abandoned(temporary: Path) -> None:
    left = Path(of_a_dead_process("private.create().folder"))
    assert left.is_dir()
    assert list(private.abandoned()) == [left]
    private.remove(left)
    assert list(temporary.iterdir()) == []


def test_what_was_left_before_a_reboot_is_abandoned() -> None:
    left = private.create().folder
    label = f"another-boot/{owner_label().partition('/')[2]}"
    (left.parent / "owner").write_text(label)
    assert has_rebooted(label)
    assert not has_rebooted(owner_label())
    assert list(private.abandoned()) == [left]


@pytest.mark.parametrize("spoil", ["no owner", "open to others", "a link", "a pipe", "garbage", "not ours"])
def test_a_folder_that_may_be_anothers_is_left_alone(temporary: Path, spoil: str) -> None:
    left = Path(of_a_dead_process("private.create().folder")).parent
    match spoil:
        case "no owner":
            (left / "owner").unlink()
        case "open to others":
            left.chmod(0o755)
        case "a link":
            left = left.rename(temporary / "elsewhere")
            (temporary / "sbi-link").symlink_to(left)
        case "a pipe":
            (left / "owner").unlink()
            os.mkfifo(left / "owner")
        case "garbage":
            (left / "owner").write_bytes(b"\xff/1/2/3")
        case "not ours":
            left = left.rename(temporary / "another-program")
    assert list(private.abandoned()) == []
    assert (left / "workspace").is_dir()


def test_an_owner_is_alive_while_its_process_is() -> None:
    assert owner_state(owner_label()) == "alive"
    assert owner_state(of_a_dead_process("owner.owner_label()")) == "dead"


def test_a_process_that_has_ended_and_that_nobody_waited_for_owns_nothing() -> None:
    code = "from sandbox_interpreter.sandbox import owner; print(owner.owner_label(), flush=True)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        label = process.stdout.readline().strip()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner_state(label) == "dead"


def test_a_process_number_that_is_used_again_does_not_revive_its_former_owner() -> None:
    boot, pid, start, *place = owner_label().split("/")
    assert owner_state("/".join((boot, pid, str(int(start) - 1), *place))) == "dead"


def test_a_process_of_another_user_that_hides_is_taken_to_live(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    monkeypatch.setattr(owner, "_start", lambda pid: None)
    boot, _, start, *place = owner_label().split("/")
    assert owner_state("/".join((boot, "1", start, *place))) == "alive"


@pytest.mark.parametrize("at", [0, 3, 4])
def test_of_another_boot_namespace_or_user_nobody_here_can_tell(at: int) -> None:
    fields = owner_label().split("/")
    fields[1], fields[at] = "999999999", "42"
    assert owner_state("/".join(fields)) == "unknown"


@pytest.mark.parametrize("label", ["", "a/b/c", "a/1/2/3", "unknown/1/2/3/0", "////", "a/b/c/d/e/f"])
def test_a_label_of_another_form_tells_nothing(label: str) -> None:
    assert owner_state(label) == "unknown"
