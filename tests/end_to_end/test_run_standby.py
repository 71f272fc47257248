"""sbi run --standby: what one run leaves behind, the next of the same kind begins in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.engines.base import ContainerInfo
from sandbox_interpreter.sandbox import standby
from tests.support.clock import YEAR, Clocks
from tests.support.sbi_process import Commands

FOLDER = f"{standby.LABEL}.folder"


@pytest.fixture
def waiting(sbi: Commands) -> Iterator[Callable[[int], list[ContainerInfo]]]:
    """Give what waits until so many standbys of this test are there; end them afterwards."""
    def found(count: int) -> list[ContainerInfo]:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            known = [info for info in sbi.engine.list({standby.LABEL: ""}) if info.name.startswith(standby.WAITING)
                     and info.labels.get(FOLDER, "").startswith(str(sbi.temporary))]
            if len(known) == count:
                return known
            time.sleep(0.05)
        raise AssertionError(f"{len(known)} standbys, not {count}")

    yield found
    deadline = time.monotonic() + 20
    while [*sbi.temporary.iterdir()] and time.monotonic() < deadline:  # the engine may still be removing one
        sbi("sessions", "prune")


def test_a_run_begins_in_what_the_last_one_left_and_leaves_another(
        sbi: Commands, waiting: Callable[[int], list[ContainerInfo]]) -> None:
    flags = ("--standby", "1", "--memory", "201m")
    assert sbi("run", *flags, "-c", "open('used', 'w'); print(1)").out == b"1\n"
    (left,) = waiting(1)
    code = "import os, sys; print(os.listdir(), os.environ['A'], sys.argv[1:]); raise SystemExit(7)"
    ended = sbi("run", *flags, "--env", "A=b", "-c", code, "x")
    assert (ended.code, ended.out, ended.err) == (7, b"[] b ['x']\n", b"")
    assert sbi.engine.get(left.id).state() in ("removing", "removed")
    (another,) = waiting(1)
    assert another.id != left.id
    assert sbi("run", "--memory", "202m", "--standby", "1", "-c", "print(1)").code == 0
    assert another.id in [info.id for info in waiting(2)]  # another limit, another kind


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["ahead", "back"])
def test_what_waits_is_claimed_whatever_the_clock_says_meanwhile(
        sbi: Commands, waiting: Callable[[int], list[ContainerInfo]], tmp_path: Path, jump: int) -> None:
    clocks = Clocks(tmp_path)
    words = ("run", "--standby", "1", "--memory", "204m", "-c", "print(1)")
    assert sbi(*words, env=clocks.environment).code == 0
    (left,) = waiting(1)
    clocks.set(REALTIME=jump)
    assert sbi(*words, env=clocks.environment).out == b"1\n"
    assert sbi.engine.get(left.id).state() in ("removing", "removed")
    assert [info.id != left.id for info in waiting(1)] == [True]


def test_without_it_no_run_leaves_anything(sbi: Commands) -> None:
    assert sbi("run", "-c", "print(1)").code == 0
    time.sleep(0.5)
    assert sbi.left_behind() == []


def test_pruning_ends_what_waits(sbi: Commands, waiting: Callable[[int], list[ContainerInfo]]) -> None:
    assert sbi("run", "--standby", "1", "--memory", "203m", "-c", "pass").code == 0
    (left,) = waiting(1)
    assert left.name in sbi("sessions", "prune").out.decode()
    assert waiting(0) == []
