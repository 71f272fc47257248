"""A live sandbox, held item by item against the hardening that design.md promises, as its engine shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.docker_spec import HARDENING
from sandbox_interpreter.sandbox.launch import HOME, LABEL
from sandbox_interpreter.sandbox.policy import GIB, MIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run

Data = dict[str, Any]


@pytest.fixture(scope="module")
def live(engine: DockerEngine) -> Iterator[Sandbox]:
    """Give a running sandbox with the default policy."""
    with Sandbox(engine=engine) as box:
        box.start()
        yield box


@pytest.fixture(scope="module")
def data(live: Sandbox, engine: DockerEngine) -> Data:
    """Give what the engine tells of it."""
    assert live.container_id
    told: Data = engine.client.inspect_container(live.container_id)
    return told


@pytest.fixture(scope="module")
def host(data: Data) -> Data:
    """Give the part that says what it may do with the host."""
    part: Data = data["HostConfig"]
    return part


def test_every_capability_is_dropped_and_none_added(host: Data) -> None:
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]


def test_it_is_not_privileged_and_gains_no_privileges(host: Data) -> None:
    assert host["Privileged"] is False
    assert [option.partition(":")[0].partition("=")[0] for option in host["SecurityOpt"]] == ["no-new-privileges"]


def test_seccomp_and_apparmor_are_the_engines_own(host: Data, data: Data, live: Sandbox, engine: DockerEngine) -> None:
    assert not any("unconfined" in option for option in host["SecurityOpt"])
    assert data.get("AppArmorProfile") != "unconfined"
    if any("apparmor" in str(option) for option in engine.client.info()["SecurityOptions"]):
        assert data["AppArmorProfile"] == "docker-default"
    assert "Seccomp:\t2" in run(live, "shell", "cat /proc/self/status").stdout


def test_the_root_file_system_is_read_only(host: Data) -> None:
    assert host["ReadonlyRootfs"] is True


@pytest.mark.parametrize("place", ["/tmp", HOME])
def test_scratch_space_is_in_memory_sized_and_without_devices_or_setuid(host: Data, live: Sandbox, place: str) -> None:
    assert {"nosuid", "nodev", f"size={384 * MIB}"} <= set(host["Tmpfs"][place].split(","))
    assert set(host["Tmpfs"]) == {"/tmp", HOME, "/dev/shm"}
    (line,) = [line.split() for line in run(live, "shell", "cat /proc/mounts").stdout.splitlines()
               if line.split()[1] == place]
    assert line[2] == "tmpfs"
    assert {"nosuid", "nodev", f"size={384 * 1024}k"} <= set(line[3].split(","))


def test_processes_memory_and_processors_are_limited(host: Data) -> None:
    assert host["PidsLimit"] == 256
    assert (host["Memory"], host["MemorySwap"]) == (GIB, GIB)  # equal: no swap
    assert host["OomKillDisable"] in (False, None)
    assert 0 < host["NanoCpus"] <= 2_000_000_000
    assert host["ShmSize"] <= 64 * MIB


def test_core_dumps_and_open_files_are_limited(host: Data, live: Sandbox) -> None:
    limits = {limit["Name"]: (limit["Soft"], limit["Hard"]) for limit in host["Ulimits"]}
    assert limits == {"core": (0, 0), "nofile": (4096, 4096)}
    assert run(live, "shell", "ulimit -Hc; ulimit -Hn").stdout == "0\n4096\n"


def test_the_user_is_not_root_and_owns_the_workspace(data: Data, live: Sandbox) -> None:
    user, group = data["Config"]["User"].split(":")
    assert "0" not in (user, group)
    assert live.workspace is not None
    assert live.workspace.stat().st_uid == int(user)
    assert run(live, "shell", "id -u; id -g").stdout == f"{user}\n{group}\n"


def test_an_init_reaps_and_nothing_is_logged_or_kept(host: Data, live: Sandbox) -> None:
    assert host["Init"] is False  # the engine's: the agent has its own, which its filter holds
    code = "import os\nprint(os.getppid() != 1, os.popen('ps -o ppid= -p 1 || true').read().strip() in ('0', ''))"
    assert run(live, "python", code).stdout == "True True\n"
    assert host["LogConfig"]["Type"] == "none"
    assert host["AutoRemove"] is True
    assert host["RestartPolicy"]["Name"] in ("", "no")
    assert host["RestartPolicy"]["MaximumRetryCount"] == 0


def test_there_is_no_network_and_no_port(host: Data, data: Data) -> None:
    assert host["NetworkMode"] == "none"
    assert not host["PortBindings"]
    assert host["PublishAllPorts"] is False
    assert not data["NetworkSettings"]["Ports"]
    assert list(data["NetworkSettings"]["Networks"]) == ["none"]
    assert not host["ExtraHosts"]
    assert not host["Links"]


@pytest.mark.parametrize("namespace", ["NetworkMode", "PidMode", "UTSMode", "UsernsMode", "IpcMode"])
def test_no_namespace_is_the_hosts(host: Data, namespace: str) -> None:
    assert host[namespace] in ("", "private", "none")


def test_no_device_is_given_and_sysctls_only_narrow(host: Data) -> None:
    assert host["Sysctls"] == HARDENING["Sysctls"]
    for name in ("Devices", "DeviceRequests", "DeviceCgroupRules", "GroupAdd", "VolumesFrom", "Binds"):
        assert not host.get(name), name
    assert not host["CgroupParent"]


def test_the_workspace_is_the_only_mount_and_no_engines_socket_is_near(data: Data, live: Sandbox) -> None:
    (mount,) = data["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Destination"]) == ("bind", str(live.workspace), "/workspace")
    assert mount["Propagation"] == "rprivate"
    assert not any(".sock" in str(each["Source"]) for each in data["Mounts"])


def test_the_kernels_own_files_are_masked_or_read_only(host: Data) -> None:
    assert {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"} <= set(host["MaskedPaths"])
    assert {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"} <= set(host["ReadonlyPaths"])


def test_the_runtime_is_the_engines_default(host: Data, engine: DockerEngine) -> None:
    assert host["Runtime"] == engine.client.info()["DefaultRuntime"]


def test_what_runs_is_the_agent_and_nothing_the_image_brings(data: Data) -> None:
    config = data["Config"]
    assert not config["Entrypoint"]
    assert config["Cmd"][:2] == ["python3", "-c"]
    assert config["WorkingDir"] == "/"
    assert config["Healthcheck"]["Test"] == ["NONE"]
    assert not config.get("Volumes")
    assert not config.get("ExposedPorts")
    assert (config["Tty"], config["OpenStdin"], config["StdinOnce"]) == (False, True, False)


def test_the_environment_and_labels_hold_names_only(data: Data, live: Sandbox) -> None:
    labels = data["Config"]["Labels"]
    assert labels[f"{LABEL}.session"] == live.session
    assert len(labels[f"{LABEL}.owner"].split("/")) >= 3
    assert data["Config"]["Hostname"] == "sandbox"
    assert f"HOME={HOME}" in data["Config"]["Env"]


@pytest.mark.parametrize("policy", [
    Policy(network="full"), Policy(access="ro"), Policy(memory=64 * MIB, pids=32, cpus=0.5, nofile=128, tmp=8 * MIB),
], ids=["network", "read-only", "small"])
def test_another_policy_changes_what_it_names_and_nothing_else(engine: DockerEngine, host: Data, policy: Policy,
                                                               tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with Sandbox(engine=engine, policy=policy, workspace=f"{tmp_path}:{policy.access}", notify=lambda _: None) as box:
        box.start()
        assert box.container_id
        other: Data = engine.client.inspect_container(box.container_id)["HostConfig"]
    named = {"NetworkMode", "Memory", "MemorySwap", "PidsLimit", "NanoCpus", "Ulimits", "Tmpfs", "Mounts"}
    changed = {name for name in host if host[name] != other[name]} - {"ContainerIDFile"}
    assert changed <= named
    assert other["MemorySwap"] == other["Memory"] == policy.memory
    assert other["PidsLimit"] == policy.pids
    assert other["NetworkMode"].startswith("sbi-" if policy.network == "full" else "none")
    assert other["Mounts"][0].get("ReadOnly", False) is (policy.access == "ro")
