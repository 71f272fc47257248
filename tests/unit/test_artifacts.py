"""What a hostile guest may try when its files are copied to the host, and what comes of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox.artifacts import ArtifactWriter


def write(root: Path, name: str, data: bytes = b"x", *, workspace: Path | None = None) -> Path:
    with ArtifactWriter(root, workspace=workspace) as writer, writer.open(name) as file:
        file.write(data)
    return file.path


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Give a folder that nothing may be written to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_text("kept")
    return folder


def test_a_file_is_written_and_its_folders_are_made(tmp_path: Path) -> None:
    data = os.urandom(1_000_000)
    assert write(tmp_path / "new" / "out", "a/b/c.bin", data) == tmp_path / "new/out/a/b/c.bin"
    assert (tmp_path / "new/out/a/b/c.bin").read_bytes() == data
    assert everything(tmp_path / "new") == {"out", "out/a", "out/a/b", "out/a/b/c.bin"}


@pytest.mark.parametrize("name", ["", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "./x", "a/", "a\0b", "a\nb",
                                  "\x1b]0;x\x07", "x" * 256, "/".join("d" * 65), "é" * 128, "\udcff", "\u202egnp.exe"])
def test_a_name_that_leads_outside_or_deceives_is_refused(name: str, tmp_path: Path) -> None:
    with ArtifactWriter(tmp_path / "out") as writer, pytest.raises(TransferError, match="a file named") as caught:
        writer.open(name)
    assert everything(tmp_path) == {"out"}
    assert caught.value.report().isascii()


@pytest.mark.parametrize("name", ["a b", "-rf", "*", "~", "naïve.png", "图.png",
                                  "👩‍🔬.png", ".hidden", "..a", "a..", "c:\\x"])
def test_an_unusual_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    write(tmp_path / "out", name)
    assert everything(tmp_path / "out") == {name}


def test_a_planted_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").symlink_to(outside / "precious")
    (tmp_path / "out" / "b").symlink_to(outside / "new")
    write(tmp_path / "out", "a", b"guest's")
    write(tmp_path / "out", "b", b"guest's")
    assert (outside / "precious").read_text() == "kept"
    assert everything(outside) == {"precious"}
    assert not (tmp_path / "out" / "a").is_symlink()
    assert (tmp_path / "out" / "a").read_bytes() == b"guest's"


def test_a_planted_link_in_place_of_a_folder_is_refused(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "out" / "sub").mkdir(parents=True)
    (tmp_path / "out" / "a").symlink_to(outside)
    (tmp_path / "out" / "sub" / "up").symlink_to("../..")
    for name in ("a/new", "a/precious", "sub/up/new"):
        with pytest.raises(TransferError, match="could not be written"):
            write(tmp_path / "out", name)
    assert everything(outside) == {"precious"}
    assert not (tmp_path / "new").exists()


def test_a_link_planted_while_a_file_is_written_changes_nothing(tmp_path: Path, outside: Path) -> None:
    out = tmp_path / "out"
    with ArtifactWriter(out) as writer, writer.open("a/file") as file:
        file.write(b"first ")
        (out / "a").rename(out / "moved")
        (out / "a").symlink_to(outside)
        file.write(b"second")
    assert everything(outside) == {"precious"}
    assert (out / "moved" / "file").read_bytes() == b"first second"


def test_an_existing_file_is_replaced_at_once_and_never_half(tmp_path: Path) -> None:
    write(tmp_path, "a", b"old")
    with ArtifactWriter(tmp_path) as writer:
        file = writer.open("a")
        file.write(b"new")
        assert (tmp_path / "a").read_bytes() == b"old"
        file.commit()
    assert (tmp_path / "a").read_bytes() == b"new"
    assert everything(tmp_path) == {"a"}


def test_a_hard_link_is_not_written_through(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").hardlink_to(outside / "precious")
    write(tmp_path / "out", "a", b"guest's")
    assert (outside / "precious").read_text() == "kept"


def break_off(writer: ArtifactWriter) -> None:
    with writer.open("a") as file:
        file.write(b"half")
        raise ConnectionError


def test_a_copy_that_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "a", b"old")
    with ArtifactWriter(tmp_path) as writer, pytest.raises(ConnectionError):
        break_off(writer)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert everything(tmp_path) == {"a"}


def test_a_file_in_place_of_a_folder_and_a_folder_in_place_of_a_file_are_told(tmp_path: Path) -> None:
    write(tmp_path, "file")
    write(tmp_path, "folder/inner")
    for name in ("file/below", "folder"):
        with pytest.raises(TransferError, match="could not be written"):
            write(tmp_path, name)
    assert everything(tmp_path) == {"file", "folder", "folder/inner"}


def test_no_file_is_executable_or_runs_as_its_owner(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = write(tmp_path, "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_a_flood_of_files_stops_at_the_bound(tmp_path: Path) -> None:
    with ArtifactWriter(tmp_path, most_files=3) as writer:
        for number in range(3):
            with writer.open(str(number)) as file:
                file.write(b"")
        with pytest.raises(TransferError, match="too many files"):
            writer.open("4")
    assert everything(tmp_path) == {"0", "1", "2"}


def test_a_flood_of_bytes_stops_at_the_bound_over_all_files(tmp_path: Path) -> None:
    def fill(name: str, size: int) -> None:
        with writer.open(name) as file:
            file.write(b"x" * size)

    with ArtifactWriter(tmp_path, most_bytes=10) as writer:
        fill("a", 6)
        with pytest.raises(TransferError, match="too many bytes"):
            fill("b", 5)
    assert everything(tmp_path) == {"a"}


def test_a_full_disk_is_told_and_leaves_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with ArtifactWriter(tmp_path) as writer:
        file = writer.open("a")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(TransferError, match="No space left"):
                file.write(b"x")
        file.discard()
    assert everything(tmp_path) == set()


def test_a_link_planted_in_the_workspace_in_place_of_the_out_folder_is_refused(tmp_path: Path, outside: Path) -> None:
    """The guest can write to the workspace, so below it even the folder that the user named is not trusted."""
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "out").symlink_to(outside)
    (workspace / "deep").mkdir()
    (workspace / "deep" / "down").symlink_to(outside)
    for root in (workspace / "out", workspace / "out" / "new", workspace / "deep" / "down", workspace / "x/../out"):
        with pytest.raises(TransferError, match="could not be written"):
            ArtifactWriter(root, workspace=workspace)
    assert everything(outside) == {"precious"}


def test_a_folder_in_the_workspace_is_made_and_written(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "way_in").symlink_to(workspace)
    write(workspace / "out" / "deep", "a", workspace=workspace)
    write(tmp_path / "way_in" / "out", "b", workspace=workspace)
    assert everything(workspace) == {"out", "out/deep", "out/deep/a", "out/b"}


def test_the_users_own_link_to_a_folder_outside_the_workspace_is_followed(tmp_path: Path) -> None:
    for name in ("real", "workspace"):
        (tmp_path / name).mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    write(tmp_path / "out", "a", workspace=tmp_path / "workspace")
    assert everything(tmp_path / "real") == {"a"}


def test_an_out_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TransferError, match="could not be written"):
            ArtifactWriter(root)


def test_no_descriptor_is_left_open(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(outside)
    before = len(list(Path("/proc/self/fd").iterdir()))
    write(tmp_path / "out", "a/b/c")
    for name in ("link/x", "../x"):
        with pytest.raises(TransferError):
            write(tmp_path / "out", name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
