"""From a policy and a workspace to the specification of one container."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox_interpreter.agent import boot
from sandbox_interpreter.engines.base import Container, ContainerEngine, ContainerSpec, Mount
from sandbox_interpreter.engines.image_base import ImageStore, images_of
from sandbox_interpreter.errors import ImageMissing, UsageError
from sandbox_interpreter.network import parse
from sandbox_interpreter.sandbox.owner import owner_label
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.workspace import SANDBOX_UID, Workspace
from sandbox_interpreter.version import VERSION

if TYPE_CHECKING:
    from sandbox_interpreter.config import Settings
    from sandbox_interpreter.engines.base import Fence
    from sandbox_interpreter.sandbox.way_out import WayOut

LABEL = "org.sandbox-interpreter"
COPY_LABEL = f"{LABEL}.copy"
"""On a container whose workspace is in its memory."""
HOME = "/home/sandbox"
WORKSPACE = "/workspace"
PREFIX = f"{HOME}/.local"
"""Where pip (as a user), npm (as the images tell it) and their like install to."""
_CACHES = {"PIP_CACHE_DIR": f"{PREFIX}/share/pip", "NPM_CONFIG_CACHE": f"{PREFIX}/share/npm"}
"""Beside the packages, not in memory."""
_NO_RETRIES = {"PIP_RETRIES": "0", "NPM_CONFIG_FETCH_RETRIES": "0"}
"""Where there is no network, trying again only takes time: npm's 70 s, pip's 8."""
SHARED_MEMORY = 64 * MIB  # what engines give /dev/shm by default
BYTES_PER_FILE = 8192
_NOTHING = "ro,nosuid,nodev,noexec,size=4096"


def new_session_id() -> str:
    """Return 12 random hexadecimal digits: short enough to type, and never met twice."""
    return os.urandom(6).hex()


def engine_of(setting: ContainerEngine | str | None) -> ContainerEngine:
    """Return the engine that a setting names, or that it is already. Raises EngineUnreachable."""
    if setting is not None and not isinstance(setting, str):
        return setting
    from sandbox_interpreter.engines.quick import quick

    if engine := quick(setting):
        return engine
    from sandbox_interpreter.engines.docker import DockerEngine

    return DockerEngine(setting)


def way_out(policy: Policy, image: str, engine: ContainerEngine | str | None) -> WayOut | None:
    """Return the plain way out that a policy allows; None where it is nothing or everything. Raises UsageError."""
    try:
        if not parse(policy.network).is_relayed:
            return None
    except ValueError as error:
        raise UsageError(f"The policy's network is none: {error}.",
                         next_step="It is none, full, or a list such as packages,example.com.") from None
    from sandbox_interpreter.sandbox import way_out as ways  # most sandboxes have none

    return ways.make(policy.network, image=image, engine=engine)


def way_out_of(settings: Settings, **wiring: Any) -> WayOut | None:
    """Return the way out that settings allow, with its certificates; see ``way_out.of``. Raises ConfigError."""
    if not parse(settings.network).is_relayed:
        return None
    from sandbox_interpreter.sandbox import way_out as ways

    return ways.of(settings, **wiring)


def container_spec(image: str, policy: Policy, workspace: Workspace, session: str,
                   command: tuple[str, ...] = ()) -> ContainerSpec:
    """Return what to ask the engine for; ``command`` takes the place of the agent's.

    Nothing secret is in it: environment values travel over the channel.
    """
    # On disk, since a home in memory is small and counts; without a network nothing large is installed.
    prefix = workspace.mounted_packages(policy)
    packages = (Mount(prefix, PREFIX),) if prefix else ()
    return ContainerSpec(
        image=image,
        command=command or boot.command(),
        init=bool(command),
        # A name of its own for each start: the engine may still be removing the session's former container.
        name=f"sbi-{session}-{os.urandom(2).hex()}",
        user=workspace.user,
        env={"HOME": HOME, "USER": "sandbox", "LOGNAME": "sandbox", "LANG": "C.UTF-8",
             **(_CACHES if packages else {}), **(_NO_RETRIES if policy.network == "none" else {})},
        labels={LABEL: VERSION, f"{LABEL}.session": session,
                f"{LABEL}.owner": owner_label()},
        mounts=(Mount(workspace.folder, WORKSPACE, read_only=workspace.access == "ro"), *packages),
        tmpfs=scratch_space(policy, workspace.user),
        memory=policy.memory,
        cpus=policy.cpus,
        pids=policy.pids,
        nofile=policy.nofile,
        network=policy.network == "full",
        fence=_fence() if policy.network == "full" else None,
        runtime=policy.runtime,
    )




def create(engine: ContainerEngine, spec: ContainerSpec, *, image: str,
           provide: Callable[[str, ImageStore], object]) -> Container:
    """Return a new container; where its image is missing, ``provide`` is called with ``image`` first."""
    try:
        return engine.create(without_volumes(engine, spec))
    except ImageMissing:
        images = images_of(engine)
        if images is None:
            raise
    provide(image, images)
    return engine.create(without_volumes(engine, spec))


def without_volumes(engine: ContainerEngine, spec: ContainerSpec) -> ContainerSpec:
    """Return ``spec`` with nothing to write to where its image, if it is not a bundled one, declares volumes.

    An engine mounts a folder of its own there, on the host's disk, without a limit and past every watch.
    """
    from sandbox_interpreter.catalogue import index

    images = None if index.is_tag(spec.image) else images_of(engine)
    info = images.image(spec.image) if images else None
    taken = {*spec.tmpfs, *(mount.target for mount in spec.mounts)}
    volumes = {path: _NOTHING for path in (info.volumes if info else ()) if path not in taken}
    return dataclasses.replace(spec, tmpfs={**volumes, **spec.tmpfs}) if volumes else spec


def spec_elsewhere(spec: ContainerSpec, policy: Policy) -> ContainerSpec:
    """Return the same container for an engine that cannot see the workspace: with one of its own, in memory.

    A volume would have no limit, on a disk that nobody here watches.
    """
    user = f"{SANDBOX_UID}:{SANDBOX_UID}"
    labels = {**spec.labels, COPY_LABEL: "true"}
    tmpfs = scratch_space(policy, user, workspace=True)
    return dataclasses.replace(spec, mounts=(), user=user, labels=labels, tmpfs=tmpfs)


def _fence() -> Fence:
    from sandbox_interpreter.sandbox import fence  # knows addresses, which most sandboxes need not

    return fence.fence()


def scratch_space(policy: Policy, user: str, *, workspace: bool = False) -> dict[str, str]:
    """Return the places in memory that code may fill, each with its mount options; ``user`` is ``uid:gid``.

    With ``workspace`` that is one of them, and the others are smaller.

    Files there outlive the process that wrote them, so no kill gives their memory back. Together they get 13/16 of it
    at the most, and a file for every 8 KiB, whose own cost is 1 KiB: filled to the brim, a next cell still runs.
    """
    uid, _, gid = user.partition(":")
    share = policy.memory // 4 if workspace else policy.memory * 3 // 8
    size, shared = (min(policy.tmp, share), min(SHARED_MEMORY, policy.memory // 16)) \
        if policy.memory else (policy.tmp, SHARED_MEMORY)
    room = f"rw,nosuid,nodev,exec,{_of_size(workspace_room(policy))},mode=0700"
    scratch = f"rw,nosuid,nodev,exec,{_of_size(size)}"
    return {"/tmp": f"{scratch},mode=1777",  # noqa: S108 - the container's, not ours
            HOME: f"{scratch},mode=0700,uid={uid},gid={gid}",
            **({WORKSPACE: f"{room},uid={uid},gid={gid}"} if workspace else {}),
            "/dev/shm": f"rw,nosuid,nodev,noexec,{_of_size(shared)},mode=1777"}  # noqa: S108 - as above


def workspace_room(policy: Policy) -> int:
    """Return the bytes of a workspace in memory."""
    return policy.memory // 4 or policy.tmp


def files_in(size: int) -> int:
    """Return how many files and folders fit into a place in memory of that size."""
    return max(size // BYTES_PER_FILE, 64)


def _of_size(size: int) -> str:
    return f"size={size},nr_inodes={files_in(size)}"
