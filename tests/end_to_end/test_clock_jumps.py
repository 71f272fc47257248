"""Clocks that are set, or that a laptop's sleep moves, end no run and no session, and lose none.

Real programs under clocks of their own, on both sides of the channel: see ``tests/support/clock.py``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.sessions import log, store
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.session import Session
from tests.support.clock import INSIDE, YEAR, Clocks
from tests.support.images import MakeImage
from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal

TICK = """
import itertools, time
for n in itertools.count():
    print(n, int(time.clock_gettime(time.CLOCK_BOOTTIME)), flush=True)
    open("ticks", "w").write(f"{n} {time.time():.0f} {time.clock_gettime(time.CLOCK_BOOTTIME):.0f} ")
    time.sleep(0.05)
    if __import__("os").path.exists("enough"):
        break
"""
HOURS = 8 * 3600


@pytest.fixture
def clocks(sbi: Commands) -> Clocks:
    """Give the clocks of the folder that sbi runs in."""
    sbi.folder.chmod(0o777)
    return Clocks(sbi.folder)


@pytest.fixture(scope="module")
def clocked(image: MakeImage) -> str:
    """Give an image whose agent, and with it its kernels, go by the clocks in the workspace."""
    return image(INSIDE)


def wait_until(holds: Callable[[], object], seconds: float = 60) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def ticks(sbi: Commands) -> list[int]:
    """Return what the code in the sandbox wrote last: its count, its wall clock and its boot clock."""
    path = sbi.folder / "ticks"
    while True:
        if len(found := path.read_text().split() if path.exists() else ["0"] * 3) == 3:
            return list(map(int, found))


def wait_for_ticks(sbi: Commands, more: int = 10) -> list[int]:
    """Return the last tick once there are so many more: the agent has looked at its clock at each of them."""
    seen = ticks(sbi)[0]
    wait_until(lambda: ticks(sbi)[0] >= seen + more)
    return ticks(sbi)


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["ahead", "back"])
def test_a_clock_that_is_set_ends_no_run(sbi: Commands, clocks: Clocks, clocked: str, jump: int) -> None:
    words = ("--image", clocked, "-w", ".", "--timeout", "300", "--idle", "300")
    running = sbi.start("run", *words, "-c", TICK, env=clocks.environment)
    wait_for_ticks(sbi)
    for ahead in (jump, 2 * jump, 0):
        clocks.set(REALTIME=ahead)
        last, wall, _ = wait_for_ticks(sbi)
        assert abs(wall - (time.time() + ahead)) < HOURS  # the jump reached the sandbox
    (sbi.folder / "enough").touch()
    out, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (0, b"")
    assert [int(line.split()[0]) for line in out.splitlines()] == list(range(len(out.splitlines())))
    assert len(out.splitlines()) > last


def test_a_machine_that_sleeps_for_hours_keeps_its_sandbox_and_only_running_idle_time_ends_it(
        sbi: Commands, clocks: Clocks, clocked: str) -> None:
    running = sbi.start("run", "--image", clocked, "-w", ".", "--idle", "300", "-c", TICK, env=clocks.environment)
    wait_for_ticks(sbi)
    running.send_signal(signal.SIGSTOP)  # nobody is heard from here on
    clocks.set(REALTIME=HOURS, BOOTTIME=HOURS)
    assert wait_for_ticks(sbi)[2] > time.clock_gettime(time.CLOCK_BOOTTIME) + HOURS - 60
    assert len(sbi.containers()) == 1
    clocks.set(REALTIME=HOURS, BOOTTIME=HOURS, MONOTONIC=HOURS)
    wait_until(lambda: not sbi.containers())
    clocks.set()
    running.send_signal(signal.SIGCONT)
    running.communicate(timeout=60)
    assert running.returncode == 137


def test_a_client_that_slept_for_hours_with_its_sandbox_has_missed_nothing(sbi: Commands, clocks: Clocks,
                                                                           clocked: str) -> None:
    running = sbi.start("run", "--image", clocked, "-w", ".", "--idle", "300", "--timeout", "300", "-c", TICK,
                        env=clocks.environment)
    wait_for_ticks(sbi)
    running.send_signal(signal.SIGSTOP)
    clocks.set(REALTIME=HOURS, BOOTTIME=HOURS)
    wait_for_ticks(sbi)
    running.send_signal(signal.SIGCONT)
    wait_for_ticks(sbi)
    (sbi.folder / "enough").touch()
    out, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (0, b"")
    assert [int(line.split()[0]) for line in out.splitlines()] == list(range(len(out.splitlines())))
    assert int(out.split()[-1]) - int(out.split()[1]) >= HOURS


# --- sessions ---


def model(tmp_path: Path, code: str) -> str:
    path = tmp_path / f"script{len(list(tmp_path.iterdir()))}.yaml"
    path.write_text(yaml.safe_dump({"turns": [{"text": "I run it.", "code": code}, {"text": "Done."}], "repeat": True}))
    return f"scripted:{path}"


def times(session: Session) -> list[datetime]:
    return [datetime.fromisoformat(entry["time"]) for entry in log.read(session.events).entries]


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["ahead", "back"])
def test_a_session_over_a_clock_that_is_set_is_one_and_in_order(sbi: Commands, clocks: Clocks, tmp_path: Path,
                                                                jump: int) -> None:
    words = ("chat", "-y", "-m", model(tmp_path, "x = 41"))
    with Terminal([SBI, *words], cwd=str(sbi.folder), env={"TMPDIR": str(sbi.temporary)} | clocks.environment) as chat:
        sbi.pids.append(chat.pid)
        for prompt in ("set x", "again"):
            chat.wait_for(lambda: chat.screen[chat.cursor_row] == ">")
            done = chat.text.count("Done.")
            chat.send(f"{prompt}\n")
            chat.wait_for(lambda done=done: chat.text.count("Done.") > done)  # type: ignore[misc]  # binds the loop's value
            clocks.set(REALTIME=jump)
        os.kill(chat.pid, signal.SIGKILL)
        chat.wait_for_end()
    resumed = sbi("sessions", "resume", "last", "show it", "-y", "-m", model(tmp_path, "print(x)"),
                  env=clocks.environment)
    assert (resumed.code, b"41\n" in resumed.out) == (0, True), resumed.said
    only, = store.every()
    written = times(only)
    assert max(written) - min(written) > timedelta(days=300)  # the jump reached the log
    messages = restore(log.read(only.events).entries).messages
    assert [message["content"] for message in messages if message["role"] == "user"] == ["set x", "again", "show it"]


def test_sessions_begun_at_a_time_that_comes_twice_are_two_and_each_is_found(sbi: Commands, clocks: Clocks,
                                                                             tmp_path: Path) -> None:
    words = ("chat", "-y", "-m", model(tmp_path, "print(1)"), "the same")
    begun = time.time()
    for ahead in (0, -YEAR, None):
        clocks.set(REALTIME=int(begun - time.time()) if ahead is None else ahead)
        assert sbi(*words, env=clocks.environment).code == 0
    assert len({session.name for session in store.every()}) == 3
    assert len({session.name[:4] for session in store.every()}) == 2  # the jump reached their names
    for session in store.every():
        assert sbi("sessions", "show", session.name, env=clocks.environment).code == 0
        assert sbi("sessions", "resume", session.name, "go on", "-m", words[3], env=clocks.environment).code == 0
        assert store.every()[0].name == session.name


@pytest.mark.parametrize("jump", [YEAR, -YEAR], ids=["ahead", "back"])
def test_prune_after_a_jump_removes_what_was_left_and_spares_what_lives(sbi: Commands, clocks: Clocks,
                                                                        jump: int) -> None:
    code = "print('up', flush=True)\nprint(input())"
    killed, living = (sbi.start("run", "-c", code, env=clocks.environment) for _ in range(2))
    for each in (killed, living):
        assert each.stdout
        assert each.stdout.readline() == b"up\n"
    killed.kill()
    killed.communicate()
    clocks.set(REALTIME=jump, BOOTTIME=abs(jump))
    assert len(sbi.containers()) == 2
    pruned = sbi("sessions", "prune", env=clocks.environment)
    assert (pruned.code, pruned.out.count(b"container sbi-")) == (0, 1)
    assert len(sbi.containers()) == 1
    assert living.communicate(b"still here\n", timeout=60)[0] == b"still here\n"
