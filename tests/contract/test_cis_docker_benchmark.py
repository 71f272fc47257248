"""A live session held against section 5, "Container Runtime", of the CIS Docker Benchmark 1.3.1, item by item.

An item that is not followed to the letter is an exception with its reason, and what stands in its place is asserted.
The numbers are those that docker-bench-security reports too. Below are the questions that deepce asks from inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run

Data = dict[str, Any]


class Live(NamedTuple):
    """What is known of a running session: its box, what its engine says of it, and of itself."""

    box: Sandbox
    data: Data
    engine: Data

    @property
    def host(self) -> Data:
        part: Data = self.data["HostConfig"]
        return part

    def has(self, option: str) -> bool:
        """Tell whether the engine offers a kernel's security module."""
        return any(option in str(each) for each in self.engine["SecurityOptions"])

    def shell(self, code: str) -> str:
        return run(self.box, "shell", code).stdout


class Item(NamedTuple):
    """One recommendation. ``exception`` is the reason why it is not followed to the letter."""

    number: str
    title: str
    holds: Callable[[Live], bool]
    exception: str = ""


HOST_FOLDERS = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/var/run", "/run")

ITEMS = (
    Item("5.1", "AppArmor profile enabled",
         lambda live: live.data["AppArmorProfile"] == ("docker-default" if live.has("apparmor") else ""),
         "a kernel without AppArmor has no profile; where there is one, it is the engine's own"),
    Item("5.2", "SELinux options set",
         lambda live: not any("label" in option and "disable" in option for option in live.host["SecurityOpt"]),
         "SELinux is the distribution's choice; the engine labels containers where it is on, and nothing turns it off"),
    Item("5.3", "kernel capabilities restricted",
         lambda live: live.host["CapDrop"] == ["ALL"] and not live.host["CapAdd"]),
    Item("5.4", "not privileged", lambda live: live.host["Privileged"] is False),
    Item("5.5", "no sensitive folder of the host mounted",
         lambda live: not {each["Source"] for each in live.data["Mounts"]} & set(HOST_FOLDERS)
         and len(live.data["Mounts"]) == 1),
    Item("5.6", "no ssh inside", lambda live: "sshd" not in live.shell("cat /proc/[0-9]*/comm; command -v sshd; true")),
    Item("5.7", "no privileged port mapped", lambda live: not live.host["PortBindings"]),
    Item("5.8", "only needed ports open",
         lambda live: not live.data["Config"].get("ExposedPorts") and not live.data["NetworkSettings"]["Ports"]
         and live.host["PublishAllPorts"] is False),
    Item("5.9", "the host's network not shared", lambda live: live.host["NetworkMode"] == "none"),
    Item("5.10", "memory limited",
         lambda live: 0 < live.host["Memory"] == live.host["MemorySwap"] and not live.host["OomKillDisable"]),
    Item("5.11", "processor priority set", lambda live: live.host["NanoCpus"] > 0 and live.host["CpuShares"] == 0,
         "shares only weigh when processors are scarce; a quota always limits"),
    Item("5.12", "root file system read-only", lambda live: live.host["ReadonlyRootfs"] is True),
    Item("5.13", "incoming traffic bound to one interface", lambda live: list(
        live.data["NetworkSettings"]["Networks"]) == ["none"]),
    Item("5.14", "restart policy on-failure:5",
         lambda live: live.host["RestartPolicy"]["Name"] in ("", "no") and live.host["AutoRemove"] is True,
         "a session that ended is never started again, which is stricter than five times"),
    Item("5.15", "the host's processes not shared", lambda live: live.host["PidMode"] == ""),
    Item("5.16", "the host's IPC not shared", lambda live: live.host["IpcMode"] == "private"),
    Item("5.17", "no device of the host", lambda live: not any(
        live.host.get(name) for name in ("Devices", "DeviceRequests", "DeviceCgroupRules"))),
    Item("5.18", "ulimits overwritten where needed",
         lambda live: {each["Name"] for each in live.host["Ulimits"]} == {"core", "nofile"}),
    Item("5.19", "mount propagation not shared",
         lambda live: all(each["Propagation"] == "rprivate" for each in live.data["Mounts"])),
    Item("5.20", "the host's UTS not shared", lambda live: live.host["UTSMode"] == ""),
    Item("5.21", "default seccomp profile not disabled",
         lambda live: not any("seccomp" in option for option in live.host["SecurityOpt"])
         and "Seccomp:\t2" in live.shell("cat /proc/self/status")),
    Item("5.22", "no exec with --privileged", lambda live: not live.data["ExecIDs"]),
    Item("5.23", "no exec as root", lambda live: not live.data["ExecIDs"]
         and "0" not in live.data["Config"]["User"].split(":")),
    Item("5.24", "no cgroup of another's", lambda live: not live.host["CgroupParent"]),
    Item("5.25", "no additional privileges", lambda live: "no-new-privileges" in live.host["SecurityOpt"]),
    Item("5.26", "health checked at run time",
         lambda live: live.data["Config"]["Healthcheck"]["Test"] == ["NONE"] and live.box.policy.idle > 0,
         "a check would be a process in there every few seconds; instead the agent and its client listen for each "
         "other's heartbeat, and a session that nobody hears ends itself"),
    Item("5.27", "the latest version of the image", lambda live: live.data["Image"].startswith("sha256:"),
         "the latest is whatever somebody pushed last; a session's image is known by its digest, and is on record"),
    Item("5.28", "processes limited", lambda live: live.host["PidsLimit"] == 256),
    Item("5.29", "docker0 not used", lambda live: "bridge" not in live.data["NetworkSettings"]["Networks"]),
    Item("5.30", "the host's user namespace not shared", lambda live: live.host["UsernsMode"] == ""),
    Item("5.31", "the engine's socket not mounted",
         lambda live: not any(".sock" in each["Source"] for each in live.data["Mounts"])
         and "docker.sock" not in live.shell("cat /proc/self/mountinfo")),
)


@pytest.fixture(scope="module")
def live(engine: DockerEngine) -> Iterator[Live]:
    with Sandbox(engine=engine) as box:
        box.start()
        yield Live(box, engine.client.inspect_container(box.container_id or ""), engine.client.info())


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.number} {item.title}")
def test_the_benchmarks_item_holds(item: Item, live: Live) -> None:
    assert item.holds(live), item.exception or item.title


def test_every_item_of_the_section_is_asked_once_and_in_order() -> None:
    assert [item.number for item in ITEMS] == [f"5.{number}" for number in range(1, 32)]
    assert {item.number for item in ITEMS if item.exception} == {"5.1", "5.2", "5.11", "5.14", "5.26", "5.27"}


# --- what an auditor finds from inside ---


@pytest.mark.parametrize(("question", "found"), [
    ("command -v docker podman nerdctl ctr crictl kubectl lxc runc", ""),
    ("id -nG | tr ' ' '\\n' | grep -E '^(docker|lxd|sudo|wheel|adm|disk|root)$'", ""),
    ("sudo -n -l 2>/dev/null", ""),
    ("cut -d: -f2 /etc/shadow 2>/dev/null", ""),
    ("grep -E '^[^:]*:[^*!x:]' /etc/passwd", ""),
    ("find / -maxdepth 1 -type f ! -name .dockerenv", ""),
    ("find /run/secrets /var/run/secrets /root /deploy /entrypoint.sh 2>/dev/null | grep -vx /root", ""),
    ("env | grep -iE 'secret|token|passw|key'", ""),
    ("find /sys/fs/cgroup -name release_agent -writable -o -name notify_on_release -writable", ""),
    ("find /sys /proc/sys -writable -type f 2>/dev/null", ""),
    ("cat /proc/1/environ | tr '\\0' '\\n' | grep -iE 'secret|token|passw'", ""),
    ("cat /proc/self/setgroups; cat /proc/self/uid_map | wc -l", "allow\n1\n"),
    ("find /dev -type b", ""),
    ("test -e /etc/alpine-release; echo $?", "1\n"),
])
def test_an_auditor_finds_nothing_inside(question: str, found: str, live: Live) -> None:
    assert live.shell(f"( {question} ); true") == found
