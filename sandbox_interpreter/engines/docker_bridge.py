"""A bridge of one container's own, and the fence that is put around the container before anything runs in it.

An engine's bridge lets a container reach the machine that the engine runs on, at the bridge's gateway and at every
other address of it, and whatever answers at link-local ones. No engine has an option against that, so other containers
are put for a moment into the machine's network and into the sandbox's, which may change them, as the sandbox may not:
they close the ways.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import blake2s
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, NotFound

from sandbox_interpreter.engines.base import BRIDGE_INTERFACE, BridgeInfo, Fence
from sandbox_interpreter.engines.docker_client import translated
from sandbox_interpreter.errors import EngineError, EngineUnreachable, ImageMissing

if TYPE_CHECKING:
    import docker

PREFIX = "sbi-"
_TRIES, _PAUSE = 20, 0.05
"""How often, and how many seconds apart, a bridge is tried to be removed: its container may be on its way out."""
_SECONDS = 20
_MOST_SHOWN = 300


def make(client: docker.APIClient, name: str, labels: Mapping[str, str], *, podman: bool = False) -> None:
    """Make a bridge on which nobody but its container will be, of an interface that the fence knows.

    Raises EngineError.
    """
    if podman:
        _make_at_podman(client, name, labels)
        return
    translated(lambda: client.create_network(name, driver="bridge", labels=dict(labels), enable_ipv6=False,
                                             options={"com.docker.network.bridge.name": interface(name)},
                                             check_duplicate=True, attachable=False), "make a network")


def interface(name: str) -> str:
    """Return what a bridge is called among the machine's interfaces, whose names have 15 characters at the most."""
    return BRIDGE_INTERFACE + blake2s(name.encode(), digest_size=5).hexdigest()


def _make_at_podman(client: docker.APIClient, name: str, labels: Mapping[str, str]) -> None:
    """Make one by Podman's own API. By Docker's it isolates it from no other network, or not from all.

    It would also point the sandbox to a name server of its own at the gateway, which is closed.
    """
    def create(isolate: str) -> None:
        answer = client.post(f"{client.base_url}/v4.0.0/libpod/networks/create", timeout=client.timeout, json={
            "name": name, "driver": "bridge", "network_interface": interface(name), "labels": dict(labels),
            "ipv6_enabled": False, "dns_enabled": False, "options": {"isolate": isolate}})
        if not answer.ok:
            raise EngineError(f"Podman could not make a network: {' '.join(answer.text.split())[:_MOST_SHOWN]}",
                              next_step="What is wrong: sbi doctor")

    try:
        translated(lambda: create("strict"), "make a network")
    except EngineError:  # before Podman 4.6 there is none but of networks that are isolated as well
        translated(lambda: create("true"), "make a network")


def close_outside(client: docker.APIClient, wanted: Fence) -> None:
    """Close ways where the bridges are, on the engine's machine. Raises EngineError, ImageMissing."""
    if wanted.outside:  # where an engine maps users, its root may change the machine's network as the machine's alone
        _close(client, wanted, wanted.outside, {"NetworkMode": "host", "UsernsMode": "host"})


def close_inside(client: docker.APIClient, container_id: str, wanted: Fence) -> None:
    """Close ways out of a running container's network. Raises EngineError, ImageMissing."""
    _close(client, wanted, wanted.inside, {"NetworkMode": f"container:{container_id}"})


def _close(client: docker.APIClient, wanted: Fence, command: Sequence[str], place: Mapping[str, str]) -> None:
    try:
        helper = translated(lambda: _create(client, wanted, command, place), "close ways of a network")
    except NotFound:
        raise ImageMissing(f"The image {wanted.image!r} is not present, which keeps a sandbox with a network away from "
                           "this machine's own addresses.", next_step="Build it: sbi images build base") from None
    try:
        code, said = translated(lambda: _run(client, helper), "close ways of a network")
    finally:
        remove_quietly(client, helper)
    if code:
        raise EngineError(f"The ways from a sandbox to this machine's own addresses could not be closed: {said}",
                          next_step="Use a list of hosts instead of full: --network HOST,…")


def _create(client: docker.APIClient, wanted: Fence, command: Sequence[str], place: Mapping[str, str]) -> str:
    host: dict[str, Any] = {
        **place, "CapDrop": ["ALL"], "CapAdd": ["NET_ADMIN"],
        "SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": True, "Memory": 64 * 2**20, "PidsLimit": 16,
        "LogConfig": {"Type": "json-file", "Config": {}},
        **({"Runtime": wanted.runtime} if wanted.runtime else {}),
    }
    answer = client.create_container_from_config({  # type: ignore[no-untyped-call]  # SDK
        "Image": wanted.image, "Entrypoint": [], "Cmd": list(command), "User": "0:0", "WorkingDir": "/",
        "Labels": dict(wanted.labels), "Healthcheck": {"Test": ["NONE"]}, "HostConfig": host})
    return str(answer["Id"])


def _run(client: docker.APIClient, helper: str) -> tuple[int, str]:
    client.start(helper)
    code = int(client.wait(helper, timeout=_SECONDS)["StatusCode"])
    said = client.logs(helper) if code else b""
    return code, " ".join(bytes(said).decode("utf-8", "replace").split())[-_MOST_SHOWN:]


def remove_quietly(client: docker.APIClient, container_id: str) -> None:
    """Remove a helper; what is left of one is removed by the reaper."""
    try:
        client.remove_container(container_id, force=True, v=True)
    except (APIError, OSError):
        return


def of(client: docker.APIClient, container_id: str) -> str:
    """Return the name of a container's own bridge; "" where it has none or is gone. Raises EngineError."""
    def names() -> list[str]:
        try:
            found = client.inspect_container(container_id)
        except NotFound:
            return []
        return [str(found["HostConfig"]["NetworkMode"])]

    return next((name for name in translated(names, "inspect a container") if name.startswith(PREFIX)), "")


def every(client: docker.APIClient, label: str) -> Sequence[BridgeInfo]:
    """Return the bridges that carry a label. Raises EngineError."""
    found = translated(lambda: client.networks(filters={"label": [label]}), "list networks")
    details = [translated(lambda entry=entry: client.inspect_network(entry["Id"]), "inspect a network")  # type: ignore[misc]  # binds the loop's value
               for entry in found]
    return [BridgeInfo(str(each["Name"]), dict(each.get("Labels") or {}), bool(each.get("Containers")))
            for each in details if str(each["Name"]).startswith(PREFIX)]


def remove(client: docker.APIClient, name: str) -> bool:
    """Remove a bridge, and tell whether it is gone; one that is still used stays. Raises EngineUnreachable."""
    for _ in range(_TRIES):
        try:
            translated(lambda: client.remove_network(name), "remove a network")
        except NotFound:
            return True
        except EngineUnreachable:  # no try after this one would end sooner
            raise
        except EngineError:
            time.sleep(_PAUSE)
        else:
            return True
    return False
