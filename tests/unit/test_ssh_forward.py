"""An engine behind ssh: which command leads there, and what is said where none does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sandbox_interpreter.engines import docker_client, ssh_forward
from sandbox_interpreter.engines.ssh_forward import SshForward, command
from sandbox_interpreter.errors import EngineUnreachable

SOCKET = Path("/somewhere/engine.sock")


@pytest.mark.parametrize(("address", "there", "target"), [
    ("ssh://host", "/var/run/docker.sock", ["host"]),
    ("ssh://ada@host:2222", "/var/run/docker.sock", ["-p", "2222", "ada@host"]),
    ("ssh://ada@host/run/user/1000/podman/podman.sock", "/run/user/1000/podman/podman.sock", ["ada@host"]),
])
def test_the_socket_at_the_other_end_is_brought_here(address: str, there: str, target: list[str]) -> None:
    words = command(address, SOCKET)
    assert f"{SOCKET}:{there}" == words[words.index("-L") + 1]
    assert words[words.index("-L") + 2:] == [*target[-1:], "cat"]
    assert set(target) <= set(words)
    assert words[-1] == "cat"
    assert {"BatchMode=yes", "ExitOnForwardFailure=yes", "ServerAliveInterval=15"} <= set(words)


@pytest.mark.parametrize("address", ["ssh://", "ssh://-oProxyCommand=touch x", "ssh://-l@host", "ssh://host:port",
                                     "ssh://%2doProxyCommand=touch%20x@host"])
def test_an_address_that_is_none_or_an_option_in_disguise_reaches_no_command(address: str) -> None:
    with pytest.raises(EngineUnreachable, match="it names no host"):
        command(address, SOCKET)


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program of the tests' own in the place of ssh, and its files into a folder that is empty."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "bin" / "ssh"


def write(program: Path, text: str) -> None:
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_a_program_that_outlives_ssh_holds_nobody_up(fake_ssh: Path) -> None:
    write(fake_ssh, "echo 'no way' >&2; sleep 300 & echo $! > \"$0.pid\"; exit 255")
    try:
        with pytest.raises(EngineUnreachable, match="no way"):
            SshForward("ssh://ada@host")
    finally:
        os.kill(int(fake_ssh.with_name("ssh.pid").read_text()), signal.SIGKILL)


def test_an_ssh_that_heeds_nothing_is_killed(fake_ssh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_forward, "SECONDS", 0.5)
    monkeypatch.setattr(ssh_forward, "_LEAVING_SECONDS", 0.2)
    write(fake_ssh, "trap '' TERM; echo $$ > \"$0.pid\"; while :; do sleep 0.1; done")
    with pytest.raises(EngineUnreachable, match="no answer within"):
        SshForward("ssh://ada@host")
    with pytest.raises(ProcessLookupError):
        os.kill(int(fake_ssh.with_name("ssh.pid").read_text()), 0)


def test_what_ssh_says_is_told_with_the_command_to_try(fake_ssh: Path) -> None:
    write(fake_ssh, "echo 'ada@host: Permission denied (publickey).' >&2; exit 255")
    with pytest.raises(EngineUnreachable, match=r"Permission denied \(publickey\)") as caught:
        docker_client.connect("ssh://ada@host:2222")
    assert "ssh -p 2222 ada@host true" in caught.value.next_step
    assert list((fake_ssh.parent.parent / "temporary").iterdir()) == []


def test_a_host_that_does_not_answer_is_given_up(fake_ssh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_forward, "SECONDS", 0.2)
    write(fake_ssh, "exec cat")
    with pytest.raises(EngineUnreachable, match="no answer within"):
        SshForward("ssh://host")


def test_the_connection_and_its_folder_go_with_the_client(fake_ssh: Path) -> None:
    write(fake_ssh, 'while [ "$1" != -L ]; do shift; done; touch "${2%%:*}"; exec cat')
    forward = SshForward("ssh://host")
    pid = forward._process.pid
    forward.close()
    forward.close()
    assert not Path(f"/proc/{pid}").exists()
    forward = SshForward("ssh://host")
    pid = forward._process.pid
    del forward
    give_up = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
    assert list((fake_ssh.parent.parent / "temporary").iterdir()) == []


HOLDER = """
import subprocess, sys, time
from sandbox_interpreter.engines.ssh_forward import SshForward
forward = SshForward("ssh://host")
beside = subprocess.Popen(["sleep", "60"], close_fds=False)  # whoever outlives this process holds nothing open
print(forward._process.pid, beside.pid, flush=True)
time.sleep(60)
"""


def test_the_connection_ends_with_a_process_that_is_killed(fake_ssh: Path) -> None:
    write(fake_ssh, 'while [ "$1" != -L ]; do shift; done; touch "${2%%:*}"; for last; do :; done; exec $last')
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        pid, beside = map(int, holder.stdout.readline().split())
        assert Path(f"/proc/{pid}").exists()
        holder.kill()
    give_up = time.monotonic() + 10
    try:
        while state(pid) != "Z":
            assert time.monotonic() < give_up
            time.sleep(0.01)
    finally:
        os.kill(beside, signal.SIGKILL)


def state(pid: int) -> str:
    """Return a process's state; one that nobody reaps, as in many a container, has ended all the same."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
