"""What an engine is asked for, as its own JSON: closed unless the policy opens it, and never wider than that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.engines.base import ContainerSpec, Mount
from sandbox_interpreter.engines.docker_spec import HARDENING, container_config
from sandbox_interpreter.sandbox.launch import container_spec
from sandbox_interpreter.sandbox.policy import GIB, MIB, Policy
from sandbox_interpreter.sandbox.workspace import Workspace


def config_of(policy: Policy | None = None, *, access: Any = "rw", podman: bool = False) -> dict[str, Any]:
    workspace = Workspace(Path("/somewhere/work"), access, "4321:4322")
    return container_config(container_spec("an-image", policy or Policy(), workspace, "5e55105e55"), podman=podman)


WIDEST = Policy(network="full", memory=64 * GIB, cpus=64, pids=100_000, nofile=1_000_000, runtime="runc")


@pytest.mark.parametrize("policy", [Policy(), WIDEST], ids=["default", "widest"])
@pytest.mark.parametrize("podman", [False, True], ids=["docker", "podman"])
def test_no_policy_widens_the_hardening(policy: Policy, podman: bool) -> None:
    host = config_of(policy, podman=podman)["HostConfig"]
    assert {name: host[name] for name in HARDENING} == HARDENING
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["ReadonlyRootfs"], host["Privileged"], host["Init"], host["AutoRemove"]) == (True, False, False, True)
    assert host["LogConfig"]["Type"] == "none"
    wider = {"CapAdd", "Devices", "DeviceRequests", "DeviceCgroupRules", "PidMode", "UTSMode", "UsernsMode",
             "CgroupParent", "VolumesFrom", "Binds", "PortBindings", "RestartPolicy", "OomKillDisable", "OomScoreAdj",
             "GroupAdd", "ExtraHosts", "Links", "MaskedPaths", "ReadonlyPaths"}
    assert not wider & set(host)


def test_swap_is_off_and_every_limit_is_asked_for() -> None:
    host = config_of(Policy(memory=GIB, cpus=1.5, pids=99, nofile=77))["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (GIB, GIB, 1_500_000_000, 99)
    assert {"Name": "core", "Soft": 0, "Hard": 0} in host["Ulimits"]
    assert {"Name": "nofile", "Soft": 77, "Hard": 77} in host["Ulimits"]


@pytest.mark.parametrize(("network", "mode"), [("none", "none"), ("full", "sbi-5e55105e55-"), ("packages", "none"),
                                                 ("example.com,ask", "none")])
def test_there_is_no_network_unless_all_of_it_is_asked_for(network: str, mode: str) -> None:
    assert config_of(Policy(network=network))["HostConfig"]["NetworkMode"].startswith(mode)


@pytest.mark.parametrize(("access", "read_only"), [("rw", False), ("ro", True)])
def test_the_workspace_is_the_only_mount(access: str, read_only: bool) -> None:
    (mount,) = config_of(access=access)["HostConfig"]["Mounts"]
    assert (mount["Type"], mount["Source"], mount["Target"]) == ("bind", "/somewhere/work", "/workspace")
    assert mount["ReadOnly"] is read_only
    assert mount["BindOptions"] == {"Propagation": "rprivate"}


@pytest.mark.parametrize("podman", [False, True], ids=["docker", "podman"])
def test_scratch_space_is_sized_and_takes_neither_devices_nor_setuid(podman: bool) -> None:
    tmpfs = config_of(Policy(tmp=1_000_000), podman=podman)["HostConfig"]["Tmpfs"]
    # Podman would make two more of its own accord, far larger.
    for place in ("/run", "/var/tmp") if podman else ():
        assert "size=4096" in tmpfs.pop(place).split(",")
    assert set(tmpfs) == {"/tmp", "/home/sandbox", "/dev/shm"}
    for place, options in tmpfs.items():
        assert {"rw", "nosuid", "nodev"} <= set(options.split(","))
        assert ("size=1000000" in options.split(",")) is (place != "/dev/shm")
        assert ("nr_inodes=" in options) is not podman
    assert ("uid=4321" in tmpfs["/home/sandbox"]) is not podman


@pytest.mark.parametrize("memory", [64 * MIB, 256 * MIB, GIB, 64 * GIB])
def test_scratch_space_in_all_leaves_memory_for_code(memory: int) -> None:
    tmpfs = config_of(Policy(memory=memory))["HostConfig"]["Tmpfs"]
    told = [dict(option.partition("=")[::2] for option in options.split(",")) for options in tmpfs.values()]
    assert sum(int(each["size"]) + 1024 * int(each["nr_inodes"]) for each in told) <= memory * 15 // 16
    assert all(int(each["size"]) <= Policy.tmp for each in told)


def test_code_runs_as_the_workspaces_owner_and_nobody_else() -> None:
    config = config_of()
    assert config["User"] == "4321:4322"
    assert config["Entrypoint"] == []
    assert config["WorkingDir"] == "/"  # never a place that the guest can make a link of (CVE-2024-21626)


def test_nothing_of_the_callers_environment_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hush-5120")
    assert "hush-5120" not in json.dumps(config_of())
    without_network = {"PIP_RETRIES", "NPM_CONFIG_FETCH_RETRIES"}
    assert {entry.partition("=")[0] for entry in config_of()["Env"]} - without_network == {
        "HOME", "USER", "LOGNAME", "LANG"}


def test_a_second_client_finds_stdin_open() -> None:
    config = config_of()
    assert (config["OpenStdin"], config["StdinOnce"], config["Tty"]) == (True, False, False)


def test_the_runtime_is_the_engines_own_unless_another_is_named() -> None:
    assert "Runtime" not in config_of()["HostConfig"]
    assert config_of(Policy(runtime="runsc"))["HostConfig"]["Runtime"] == "runsc"


def test_labels_tell_the_session_and_its_owner() -> None:
    labels = config_of()["Labels"]
    assert labels["org.sandbox-interpreter.session"] == "5e55105e55"
    assert labels["org.sandbox-interpreter.owner"].count("/") == 4


def test_a_mount_keeps_whatever_its_name_holds() -> None:
    spec = ContainerSpec("i", ("c",), "n", "1:1", mounts=(Mount(Path("/a:b,c=d/ü"), "/workspace"),))
    assert container_config(spec)["HostConfig"]["Mounts"][0]["Source"] == "/a:b,c=d/ü"
