"""What a container is asked for, in the engine's own JSON. Pure, so that tests can read the whole of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox_interpreter.engines.base import ContainerSpec

# What no policy can widen. Each line takes away something that a container has by default.
HARDENING: dict[str, Any] = {
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges"],  # the engine's seccomp profile stays: naming none keeps the default
    "ReadonlyRootfs": True,
    "IpcMode": "private",
    "Privileged": False,
    "PublishAllPorts": False,
    "LogConfig": {"Type": "none", "Config": {}},  # output is the client's; a log file would grow without bound
    "AutoRemove": True,
    "ShmSize": 64 * 1024 * 1024,
    # System V objects outlive the process that made them, and their memory with it: here segments go with their last
    # process, and queues and semaphores are few. The kernel's names and order of fields: ipc(5) of its sysctl(5) pages.
    "Sysctls": {"kernel.shm_rmid_forced": "1", "kernel.msgmni": "64", "kernel.sem": "250 8000 32 64"},
}


def container_config(spec: ContainerSpec, *, podman: bool = False) -> dict[str, Any]:
    """Return the body of the engine's create call (API 1.41 and later)."""
    return {
        "Image": spec.image,
        "Entrypoint": [],
        "Cmd": list(spec.command),
        "User": spec.user,
        "WorkingDir": "/",
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "Labels": dict(spec.labels),
        "Hostname": "sandbox",
        # StdinOnce would end the container with its first client; a second one is to find all state.
        "OpenStdin": True, "StdinOnce": False, "Tty": False,
        "AttachStdin": True, "AttachStdout": True, "AttachStderr": True,
        "Healthcheck": {"Test": ["NONE"]},
        # Whoever ends it from outside means it, and the agent has nothing to save; Podman would wait 10 s otherwise.
        "StopSignal": "SIGKILL",
        "HostConfig": HARDENING | {
            "Init": spec.init,
            "NetworkMode": spec.name if spec.network else "none",  # the bridge has its container's first name
            "Memory": spec.memory,
            "MemorySwap": spec.memory,  # the same as Memory: no swap
            "NanoCpus": int(spec.cpus * 1e9),
            "PidsLimit": spec.pids or None,
            "Ulimits": [{"Name": "core", "Soft": 0, "Hard": 0},
                        {"Name": "nofile", "Soft": spec.nofile, "Hard": spec.nofile}],
            "Tmpfs": _podman_tmpfs(spec.tmpfs) if podman else dict(spec.tmpfs),
            "Mounts": [{"Type": "bind", "Source": str(mount.source), "Target": mount.target,
                        "ReadOnly": mount.read_only, "BindOptions": {"Propagation": "rprivate"}}
                       for mount in spec.mounts],
            **({"Runtime": spec.runtime} if spec.runtime else {}),
        },
    }


def _podman_tmpfs(tmpfs: Mapping[str, str]) -> dict[str, str]:
    """Return tmpfs options that Podman takes.

    It knows no owner, so a private mount is opened to the only user, and no number of files. It begins a place with
    what the image has there, as root's, unless told otherwise. Over a read-only root it lays two places in memory of
    its own, half the machine's memory each, unless they are asked for: they get a page.
    """
    return {**dict.fromkeys(("/run", "/var/tmp"), "rw,nosuid,nodev,noexec,size=4096"),  # noqa: S108 - the container's
            **{path: _for_podman(options) for path, options in tmpfs.items()}}


def _for_podman(options: str) -> str:
    kept = [option for option in options.split(",") if not option.startswith(("uid=", "gid=", "mode=", "nr_inodes="))]
    return ",".join([*kept, "mode=1777", "notmpcopyup"])
