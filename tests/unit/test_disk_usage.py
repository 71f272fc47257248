"""What code has taken of the disk, measured where it hides it; and when its sandbox is over the limit."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sandbox_interpreter.sandbox import usage
from sandbox_interpreter.sandbox.growth import Growth, Place
from sandbox_interpreter.sandbox.policy import MIB
from sandbox_interpreter.sandbox.usage import Usage

NOWHERE = "0" * 64
"""No container has this name."""


def write(path: Path, size: int = MIB) -> Path:
    path.write_bytes(os.urandom(size))
    return path


def test_bytes_on_disk_are_counted_and_holes_are_not(tmp_path: Path) -> None:
    write(tmp_path / "full")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub" / "inner")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    found = usage.below(tmp_path, most=1 << 40)
    assert found.whole
    assert 2 * MIB <= found.size < 2 * MIB + 64 * 1024


def test_a_file_without_content_counts_and_one_with_two_names_counts_once(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / str(number)).touch()
    assert usage.below(tmp_path, most=1 << 40).size == 100 * usage.LEAST
    big = write(tmp_path / "big")
    (tmp_path / "again").hardlink_to(big)
    assert usage.below(tmp_path, most=1 << 40).size == pytest.approx(100 * usage.LEAST + MIB, abs=8192)


def test_no_link_and_no_other_file_system_is_looked_at(tmp_path: Path) -> None:
    write(tmp_path / "outside")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path)
    (inside / "proc").symlink_to("/proc")
    assert usage.below(inside, most=1 << 40).size <= 2 * usage.LEAST


def test_what_is_too_deep_or_closed_is_said(tmp_path: Path) -> None:
    deep = os.open(tmp_path, os.O_RDONLY)
    for _ in range(usage.DEEPEST + 2):
        os.mkdir("d", dir_fd=deep)
        inner = os.open("d", os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(deep)
    assert not usage.below(tmp_path, most=1 << 40).whole
    assert usage.below(tmp_path / "gone", most=1) == Usage()


def test_what_was_there_before_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "old")
    assert usage.below(tmp_path, since=time.time() + 100, most=1 << 40).size == 0
    assert usage.below(tmp_path, since=time.time() - 100, most=1 << 40).size >= MIB


def test_counting_stops_where_it_is_too_much(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / str(number)).touch()
    assert usage.below(tmp_path, most=10 * usage.LEAST).size == 11 * usage.LEAST


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the bytes that the disk has given away, to be set."""
    used = [1000 * MIB]
    monkeypatch.setattr(Place, "used", lambda _: used[0])
    return used


def test_a_private_folder_counts_whole_and_one_that_is_shared_by_what_the_disk_has_lost(
        tmp_path: Path, disk: list[int]) -> None:
    write(tmp_path / "file", 3 * MIB)
    assert Growth([Place(tmp_path, ours=True)], MIB).excess(NOWHERE) is None  # it was there when the sandbox began
    private, shared = (Growth([Place(tmp_path, ours=ours)], 2 * MIB) for ours in (True, False))
    disk[0] += 3 * MIB
    assert private.excess(NOWHERE) == pytest.approx(3 * MIB, abs=8192)
    assert shared.excess(NOWHERE) == pytest.approx(3 * MIB, abs=8192)
    disk[0] -= 2 * MIB  # an old file that a program appends to is in it whole, but the disk knows better
    assert Growth([Place(tmp_path, ours=False)], 2 * MIB).excess(NOWHERE) is None


def test_who_is_over_the_limit_may_delete_and_not_go_on(tmp_path: Path, disk: list[int]) -> None:
    watched = Growth([Place(tmp_path, ours=True)], 2 * MIB)
    assert watched.excess(NOWHERE) is None
    write(tmp_path / "file", 3 * MIB)
    disk[0] += 3 * MIB
    assert watched.excess(NOWHERE)
    watched.begin()
    assert watched.excess(NOWHERE) is None  # the next container begins with what is there
    write(tmp_path / "more", MIB // 2)
    assert watched.excess(NOWHERE)
    (tmp_path / "file").unlink()
    assert watched.excess(NOWHERE) is None
    write(tmp_path / "file", 2 * MIB)
    assert watched.excess(NOWHERE)


def test_it_is_measured_when_the_disk_has_filled_up_and_not_all_the_time(tmp_path: Path, disk: list[int],
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    shared = Growth([Place(tmp_path, ours=False)], 100 * MIB)
    private = Growth([Place(tmp_path, ours=True)], 100 * MIB)
    assert (shared.is_due(), private.is_due()) == (False, True)
    private.excess(NOWHERE)
    disk[0] += 40 * MIB
    assert (shared.is_due(), private.is_due()) == (False, False)
    disk[0] += 20 * MIB
    assert (shared.is_due(), private.is_due()) == (True, True)
    private.excess(NOWHERE)
    disk[0] -= 10 * MIB  # others made room: seen after a while
    assert not private.is_due()
    now[0] += 60
    assert private.is_due()
    assert not shared.is_due()


def test_a_clock_that_is_set_back_hides_nothing(tmp_path: Path, disk: list[int],
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600)  # it began an hour later than it now is
    shared = Growth([Place(tmp_path, ours=False)], MIB)
    monkeypatch.setattr(time, "time", real)
    write(tmp_path / "file", 2 * MIB)
    disk[0] += 2 * MIB
    assert shared.excess(NOWHERE)


def test_an_own_deleted_file_is_found_by_its_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proc = tmp_path / "proc"
    for pid, group in (("12", f"0::/docker/{NOWHERE}"), ("13", "0::/other")):
        (proc / pid / "fd").mkdir(parents=True)
        (proc / pid / "cgroup").write_text(group)
    file = write(tmp_path / "file")
    with file.open("rb") as opened:
        monkeypatch.setattr(usage, "_PROC", proc)
        for pid in ("12", "13"):
            for number in ("3", "4"):  # the same file twice
                (proc / pid / "fd" / number).symlink_to(f"/proc/{os.getpid()}/fd/{opened.fileno()}")
        devices = {file.stat().st_dev}
        assert usage.hidden(NOWHERE, devices, most=1 << 40) == Usage()  # it still has its name
        file.unlink()
        monkeypatch.setattr(Path, "readlink", lambda _: Path(f"{file} (deleted)"))
        assert usage.hidden(NOWHERE, devices, most=1 << 40).size == MIB
        assert usage.hidden("1" * 64, devices, most=1 << 40) == Usage()
