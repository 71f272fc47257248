from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox_interpreter.errors import SandboxError
from sandbox_interpreter.sandbox.erase import erase


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "workspace"
    made.mkdir()
    return made


def test_a_tree_is_removed_whole(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("x")
    (folder / ".hidden").write_text("x")
    os.mkfifo(folder / "pipe")
    erase(folder)
    assert not folder.exists()


def test_a_folder_that_is_gone_is_no_error(tmp_path: Path) -> None:
    erase(tmp_path / "gone")


def test_links_are_removed_and_never_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "precious").write_text("x")
    (folder / "to_folder").symlink_to(outside)
    (folder / "to_file").symlink_to(outside / "precious")
    (folder / "to_nothing").symlink_to("nowhere")
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to("..")
    (folder / "sub" / "out").symlink_to(outside)
    erase(folder)
    assert not folder.exists()
    assert (outside / "precious").read_text() == "x"
    assert outside.stat().st_mode & 0o777 == 0o700


def test_a_link_in_place_of_the_folder_itself_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (tmp_path / "workspace").symlink_to(outside)
    with pytest.raises(SandboxError, match="could not be removed"):
        erase(tmp_path / "workspace")
    assert (outside / "precious").exists()


@contextmanager
def as_owner_without_privileges(folder: Path) -> Iterator[None]:
    """Give ``folder`` to uid 1000 and act as it, where the tests run as root, whom no permission stops."""
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 1000, 1000)
    os.setegid(1000)
    os.seteuid(1000)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_folders_and_files_without_permissions_are_removed_too() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sbi-test-"))  # not tmp_path, which is closed to other users
    (folder / "a" / "closed" / "inner").mkdir(parents=True)
    (folder / "a" / "closed" / "inner" / "file").touch(mode=0)
    with as_owner_without_privileges(folder):
        for name in ("a/closed/inner", "a/closed", "a", ""):
            (folder / name).chmod(0)
        erase(folder)
    assert not folder.exists()


def test_a_read_only_folder_is_removed() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sbi-test-"))
    (folder / "a" / "b").mkdir(parents=True)
    with as_owner_without_privileges(folder):
        for name in ("a/b", "a", ""):
            (folder / name).chmod(0o500)
        erase(folder)
    assert not folder.exists()


def test_depth_has_no_limit(folder: Path) -> None:
    """Paths beyond PATH_MAX and beyond Python's recursion limit, as guest code makes them with chdir."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("deeper", dir_fd=here)
        inner = os.open("deeper", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    erase(folder)
    assert not folder.exists()


def test_odd_names_are_removed(folder: Path) -> None:
    for name in (b"-rf", b"new\nline", b"\xff\xfe", b"x" * 255, b" ", b"\x1b]0;x\x07", b"*"):
        (folder / os.fsdecode(name)).mkdir()
        (folder / os.fsdecode(name) / os.fsdecode(name)).touch()
    erase(folder)
    assert not folder.exists()


def test_the_next_step_is_told_when_something_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "file").touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(SandboxError, match="Operation not permitted") as caught:
        erase(folder)
    assert str(folder) in caught.value.next_step
