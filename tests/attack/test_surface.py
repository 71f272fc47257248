"""What code finds around it: no privilege, no network, no host; asked from inside, on a real engine."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.runs import run

SECRET = "hush-8472-do-not-tell"


def shell(box: Sandbox, code: str) -> str:
    done = run(box, "shell", code)
    return done.stdout + done.stderr


def inspect(box: Sandbox, engine: DockerEngine) -> dict[str, Any]:
    assert box.container_id
    data: dict[str, Any] = engine.client.inspect_container(box.container_id)
    return data


# --- privilege ---


@pytest.mark.parametrize("language", ["python", "shell"])
@pytest.mark.parametrize("script", [None, Script()], ids=["cell", "script"])
def test_code_has_no_capability_no_new_privileges_and_a_seccomp_filter(shared_box: Sandbox, language: str,
                                                                      script: Script | None) -> None:
    code = "print(open('/proc/self/status').read())" if language == "python" else "cat /proc/self/status"
    lines = dict(line.split(":\t", 1) for line in run(shared_box, language, code, script=script).stdout.splitlines()
                 if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(lines[name], 16) == 0, name
    assert (lines["NoNewPrivs"], lines["Seccomp"]) == ("1", "2")
    assert "0" not in lines["Uid"].split()
    assert "0" not in lines["Gid"].split()
    assert "0" not in lines["Groups"].split()


def test_no_process_of_the_container_is_root_or_has_a_capability(shared_box: Sandbox) -> None:
    lines = shell(shared_box, "cat /proc/[0-9]*/status | grep -E '^(Uid|CapBnd|CapEff|NoNewPrivs):'").splitlines()
    assert len(lines) >= 12  # init, the agent, the shell
    for line in lines:
        name, _, values = line.partition(":")
        assert values.split()[0] == ("1" if name == "NoNewPrivs" else "1000" if name == "Uid" else "0" * 16)


def test_no_program_gives_privileges_away(shared_box: Sandbox) -> None:
    assert shell(shared_box, "find / -xdev -perm /6000 -type f 2>/dev/null") == ""
    assert shell(shared_box, "command -v sudo doas pkexec newuidmap || echo none").strip() == "none"
    assert "uid=0" not in shell(shared_box, "su -c id < /dev/null")
    copied = shell(shared_box, "cp /bin/bash /tmp/b && chmod 2755 /tmp/b && /tmp/b -p -c 'id -u; id -g'")
    assert copied.split() == ["1000", "1000"]
    assert "nosuid" in shell(shared_box, "grep -E ' (/tmp|/home/sandbox) ' /proc/mounts | cut -d' ' -f4")


@pytest.mark.parametrize("attempt", [
    "unshare -Ur id", "unshare -m true", "mount -t tmpfs none /mnt", "mount --bind /workspace /etc", "chroot / id",
    "nsenter -t 1 -m true", "mknod /tmp/sda b 8 0", "chown root /tmp", "ping -c1 127.0.0.1", "date -s 2000-01-01",
    "hostname other", "sysctl -w kernel.hostname=x", "echo 1 > /proc/sys/kernel/panic", "echo c > /proc/sysrq-trigger",
    "echo x > /etc/passwd", "touch /usr/bin/x", "rm -f /bin/ls", "echo 1 > /sys/fs/cgroup/cgroup.procs",
    "cat /proc/kcore", "cat /dev/mem", "cat /dev/sda", "dmesg", "renice -n -5 $$", "ulimit -n 1000000", "ulimit -c 1",
    "head -c 1 /proc/1/mem",
])
def test_what_needs_privilege_fails(shared_box: Sandbox, attempt: str) -> None:
    done = run(shared_box, "shell", f"( {attempt} )")
    assert done.result.exit_code != 0, done.stdout


def test_nothing_can_be_written_but_the_workspace_and_scratch_space(shared_box: Sandbox) -> None:
    code = ("find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -type d -print 2>/dev/null "
            "| while read -r d; do [ -w \"$d\" ] && echo \"$d\"; done; true")
    assert shell(shared_box, code).split() == ["/tmp", "/home/sandbox", "/workspace"]
    assert " ro," in shell(shared_box, "grep ' / ' /proc/mounts")


def test_there_is_no_device_but_the_harmless_ones(shared_box: Sandbox) -> None:
    found = set(shell(shared_box, "find /dev -type b -o -type c | grep -v /dev/pts").split())
    assert found <= {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "console", "ptmx")}


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware/dmi", "/proc/acpi/x",
                                  "/proc/scsi/x"])
def test_the_hosts_kernel_shows_nothing_of_itself(shared_box: Sandbox, path: str) -> None:
    code = f"import pathlib\ntry: print(len(pathlib.Path('{path}').read_bytes()))\nexcept OSError: print(0)"
    assert run(shared_box, "python", code).stdout == "0\n"


def test_no_engines_socket_and_no_folder_of_the_host_is_in_reach(shared_box: Sandbox) -> None:
    assert shell(shared_box, "find / -xdev -type s 2>/dev/null; find /run /var/run -name '*.sock' 2>/dev/null") == ""
    mounted = [line.split()[1] for line in shell(shared_box, "cat /proc/mounts").splitlines()
               if line.split()[2] not in ("proc", "sysfs", "tmpfs", "mqueue", "devpts", "cgroup", "cgroup2", "overlay")]
    assert set(mounted) <= {"/workspace", "/etc/resolv.conf", "/etc/hostname", "/etc/hosts"}


# --- network ---


def test_there_is_no_interface_but_loopback_and_no_route(shared_box: Sandbox) -> None:
    assert run(shared_box, "python", "import socket; print([n for _, n in socket.if_nameindex()])").stdout == "['lo']\n"
    assert len(shell(shared_box, "cat /proc/net/route").splitlines()) == 1


@pytest.mark.parametrize("address", ["1.1.1.1", "169.254.169.254", "172.17.0.1", "10.0.0.1", "192.168.0.1", "::1:2"])
def test_no_address_is_reached_and_none_is_waited_for(shared_box: Sandbox, address: str) -> None:
    code = ("import socket, time\nbegan = time.monotonic()\n"
            f"family = socket.AF_INET6 if ':' in '{address}' else socket.AF_INET\n"
            f"try: socket.socket(family).connect(('{address}', 80)); print('reached')\n"
            "except OSError as error: print(type(error).__name__, time.monotonic() - began < 1)")
    assert run(shared_box, "python", code).stdout == "OSError True\n"


def test_no_name_is_resolved_and_none_is_waited_for(shared_box: Sandbox) -> None:
    code = ("import socket, time\nbegan = time.monotonic()\ntry: print(socket.getaddrinfo('example.com', 80))\n"
            "except socket.gaierror: print('no', time.monotonic() - began < 3)")
    assert run(shared_box, "python", code).stdout == "no True\n"


def test_no_raw_or_kernel_socket_is_to_be_had(shared_box: Sandbox) -> None:
    # 40 is AF_VSOCK, which leads from a virtual machine to its host, context 2.
    code = ("import socket\nkinds = (socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW), (40, 1)\n"
            "for family, kind in kinds:\n    try:\n        s = socket.socket(family, kind)\n"
            "        s.connect((2, 1)) if family == 40 else None\n        print('open', family)\n"
            "    except OSError: pass")
    assert run(shared_box, "python", code).stdout == ""


# --- secrets ---


def test_a_secret_is_in_the_codes_environment_and_in_no_other_place(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, secrets={"TOKEN": SECRET}, policy=Policy(grace=0.5)) as box:
        assert run(box, "python", "import os; print(os.environ['TOKEN'])").stdout == SECRET + "\n"
        assert SECRET not in json.dumps(inspect(box, engine))
        assert SECRET not in json.dumps(engine.client.top(box.container_id or ""))
        assert SECRET not in subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
        code = ("import os, glob\nhit = []\nfor path in glob.glob('/proc/[0-9]*/cmdline') + "
                "glob.glob('/proc/[0-9]*/environ'):\n    try: data = open(path, 'rb').read()\n"
                "    except OSError: continue\n"
                f"    if b'{SECRET[:9]}' + b'{SECRET[9:]}' in data: hit.append(path)\nprint(hit)")
        assert run(box, "python", code).stdout == "[]\n"  # the agent's own environment is the image's
        assert "TOKEN" not in shell(box, "tr '\\0' '\\n' < /proc/1/environ")


def test_a_secret_is_not_left_in_the_workspace_or_on_disk(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, secrets={"TOKEN": SECRET}, policy=Policy(grace=0.5)) as box:
        halves = f"{SECRET[:9]}''{SECRET[9:]}"  # the cell itself is a file in /tmp
        assert shell(box, f"grep -rlF {halves} /tmp /workspace /home/sandbox 2>/dev/null; true") == ""
        assert box.workspace is not None
        assert list(box.workspace.iterdir()) == []


def test_nothing_of_the_hosts_environment_comes_in(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with Sandbox(engine=engine) as box:
        assert SECRET not in shell(box, "env")
        names = {line.partition("=")[0] for line in shell(box, "env").splitlines() if "=" in line}
        assert not names & {"AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "DOCKER_HOST"}


def test_the_host_is_not_named(shared_box: Sandbox) -> None:
    assert shell(shared_box, "hostname").strip() == "sandbox"
