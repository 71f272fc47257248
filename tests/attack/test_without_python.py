"""Code in an image that has no Python, and so no agent and none of its filters, gets no further than elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from sandbox_interpreter.cli import checks
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.attack.test_left_behind import host_processes
from tests.support import bare_image
from tests.support.runs import finish, run

IMAGE = f"sbi-test-attacked-{os.getpid()}:1"
NO_CTYPES = f"sbi-test-no-ctypes-{os.getpid()}:1"
TOOLS = ("chmod", "cp", "find", "ln", "mknod", "mount", "setsid", "unshare")


@pytest.fixture(scope="module")
def image(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pieces")
    with bare_image.made_of(engine, (*bare_image.LEAST, *TOOLS), folder, IMAGE):
        yield IMAGE


@pytest.fixture
def box(engine: DockerEngine, image: str, notices: list[str]) -> Iterator[Sandbox]:
    policy = Policy(grace=0.5, pids=64, memory=128 * MIB, tmp=16 * MIB)
    with Sandbox(image, engine=engine, policy=policy, notify=notices.append) as sandbox:
        yield sandbox


def test_code_has_no_capability_no_new_privileges_and_the_engines_filter(box: Sandbox) -> None:
    lines = [line.split(":\t") for line in run(box, "shell", "cat /proc/[0-9]*/status").stdout.splitlines()]
    told = {name: {value.strip() for other, *values in lines for value in values if other == name}
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Uid")}
    assert told.pop("Uid") == {"1000\t1000\t1000\t1000"}
    assert (told.pop("NoNewPrivs"), told.pop("Seccomp")) == ({"1"}, {"2"})
    assert set().union(*told.values()) == {"0" * 16}


@pytest.mark.parametrize("attempt", [
    "unshare -Ur sh -c :", "unshare -m sh -c :", "mount -t tmpfs none /mnt", "mknod /tmp/sda b 8 0", "cat /dev/sda",
    "echo 1 > /proc/sys/kernel/panic", "echo x > /etc/passwd", "cp /usr/bin/sh /usr/bin/x", "rm -f /usr/bin/cat",
    "head -c 1 /proc/1/mem", "ulimit -n 1000000", "ulimit -c 1", "ln /etc/hostname /workspace/x",
])
def test_what_needs_privilege_fails(box: Sandbox, attempt: str) -> None:
    assert run(box, "shell", f"( {attempt} )").result.exit_code not in (0, 127)


def test_nothing_can_be_written_but_the_workspace_and_scratch_space(box: Sandbox) -> None:
    code = ("find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -type d -print 2>/dev/null "
            "| while read -r d; do [ -w \"$d\" ] && echo \"$d\"; done; :")
    assert set(run(box, "shell", code).stdout.split()) == {"/tmp", "/home/sandbox", "/workspace"}
    (root,) = [line for line in run(box, "shell", "cat /proc/mounts").stdout.splitlines() if line.split()[1] == "/"]
    assert root.split()[3].startswith("ro,")


def test_there_is_no_interface_but_loopback(box: Sandbox) -> None:
    names = [line.split(":")[0].strip() for line in run(box, "shell", "cat /proc/net/dev").stdout.splitlines()[2:]]
    assert names == ["lo"]


def test_a_fork_bomb_stops_at_the_pids_limit_and_the_next_block_runs(box: Sandbox) -> None:
    done = run(box, "shell", "bomb() { bomb | bomb & }; bomb; sleep 1; exit 1", timeout=10)
    assert done.result.exit_code != 0
    assert "fork" in done.stderr
    give_up = time.monotonic() + 30
    while (last := run(box, "shell", "echo alive")).stdout != "alive\n" and time.monotonic() < give_up:
        box.reset()
        time.sleep(0.1)
    assert last.stdout == "alive\n"


def test_scratch_space_that_is_full_is_said_and_can_be_emptied(box: Sandbox) -> None:
    done = run(box, "shell", "head -c 100000000 /dev/zero > /tmp/x")
    assert "No space left" in done.stderr
    assert run(box, "shell", "rm /tmp/x; echo emptied").stdout == "emptied\n"


def test_detached_and_deaf_processes_are_gone_after_close(engine: DockerEngine, box: Sandbox) -> None:
    mark = f"mark-{time.monotonic_ns()}"
    run(box, "shell", f"setsid sh -c 'trap \"\" HUP INT TERM; while :; do sleep 1; done' {mark} & sleep 0.5")
    assert mark in run(box, "shell", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '").stdout
    box.close()
    give_up = time.monotonic() + 5
    while host_processes(mark) and time.monotonic() < give_up:
        time.sleep(0.02)
    assert host_processes(mark) == 0
    assert engine.list({f"{LABEL}.session": box.session}) == []


def test_an_interrupt_overtakes_a_flood(box: Sandbox) -> None:
    execution = box.execute("shell", "cat /dev/zero")
    next(iter(execution))
    execution.interrupt()
    assert finish(execution).result.interrupted
    assert run(box, "shell", "echo next").stdout == "next\n"


def test_that_the_agents_filter_is_not_there_is_said(box: Sandbox, notices: list[str]) -> None:
    run(box, "shell", ":")
    assert [notice for notice in notices if "the engine's filter of kernel calls alone" in notice]


def test_a_python_that_cannot_set_the_filter_is_said_by_the_sandbox_and_by_doctor(
        engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with bare_image.made_of(engine, (*bare_image.LEAST, "bash", "python3"), tmp_path_factory.mktemp("pieces"),
                            NO_CTYPES, more="usr/lib/python3* --exclude='_ctypes.*'"):
        with Sandbox(NO_CTYPES, engine=engine, notify=said.append) as box:
            assert run(box, "python", "print(6 * 7)").stdout == "42\n"
            assert "Seccomp:\t2" in run(box, "shell", "cat /proc/self/status").stdout
        monkeypatch.setenv("SBI_IMAGE", NO_CTYPES)
        gaps = [check.detail for check in checks.run_all() if check.name == "known gap"]
    assert [each for each in said if "engine's filter of kernel calls holds code alone" in each]
    assert [each for each in gaps if f"In {NO_CTYPES} the engine's filter of kernel calls holds code alone" in each]
