"""The Docker adapter; Podman and remote hosts speak the same API at another address."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, NotFound

from sandbox_interpreter.engines import docker_bridge
from sandbox_interpreter.engines.base import BridgeInfo, ContainerInfo, ContainerSpec, EngineInfo, Fence
from sandbox_interpreter.engines.docker_client import connect, translated
from sandbox_interpreter.engines.docker_spec import container_config
from sandbox_interpreter.engines.docker_wire import DockerWire
from sandbox_interpreter.errors import EngineError, FolderUnseen, ImageMissing

if TYPE_CHECKING:
    from sandbox_interpreter.engines.docker_exec import DockerCommand
    from sandbox_interpreter.engines.image_base import ImageStore, ImageTransport


_NO_SUCH_FOLDER = ("bind source path does not exist", "statfs /")
"""What Docker and Podman say of a mount whose source is not on their machine."""


class DockerContainer:
    """One container of a Docker engine."""

    def __init__(self, client: docker.APIClient, container_id: str, *, bridge: str | None = None,
                 fence: Fence | None = None) -> None:
        """Stand for a container. ``bridge`` is its own one's name, "" for none; None where that is not known."""
        self._client = client
        self._id = container_id
        self._bridge = bridge
        self._fence = fence

    @property
    def id(self) -> str:
        """Return the engine's identifier."""
        return self._id

    def attach(self) -> DockerWire:
        """Return its stdin and stdout; allowed before the start."""
        params = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        return DockerWire(translated(lambda: self._client.attach_socket(self._id, params), "attach to a container"))

    def start(self) -> None:
        """Start the main process; a container with a network is fenced when this returns."""
        fence = self._fence if self._bridge else None
        if fence:
            docker_bridge.close_outside(self._client, fence)  # first: an image of a stranger's begins at once
        translated(lambda: self._client.start(self._id), "start a container")
        if fence:
            docker_bridge.close_inside(self._client, self._id, fence)

    def command(self, words: Sequence[str]) -> DockerCommand:
        """Start a command as the container's user, in its root folder."""
        from sandbox_interpreter.engines.docker_exec import DockerCommand  # few sandboxes need any

        return DockerCommand(self._client, self._id, words)

    def state(self) -> str:
        """Return created, running, paused, exited, dead, or removed."""
        return translated(self._inspect_or_none, "inspect a container") or "removed"

    def _inspect_or_none(self) -> str | None:
        try:
            return str(self._client.inspect_container(self._id)["State"]["Status"])
        except NotFound:
            return None

    def rename(self, name: str) -> bool:
        """Return whether it has the name from now on, and had another before; False also where it is gone."""
        return translated(lambda: self._rename(name), "rename a container")

    def _rename(self, name: str) -> bool:
        try:
            self._client.rename(self._id, name)
        except NotFound:
            return False
        except APIError as error:
            # 400: it has that name already (Docker); 409, and Podman's 500: the name is taken.
            if error.status_code in (400, 409) or "already" in str(error.explanation):
                return False
            raise
        return True

    def remove(self) -> None:
        """Kill and remove it, and return once it is gone; one that is gone already is no error."""
        bridge = docker_bridge.of(self._client, self._id) if self._bridge is None else self._bridge
        translated(self._remove, "remove a container")
        if bridge:
            docker_bridge.remove(self._client, bridge)

    def _remove(self) -> None:
        try:
            self._client.remove_container(self._id, force=True, v=True)
        except NotFound:
            return
        except APIError as error:
            if "state improper" in str(error.explanation):  # Podman, and somebody has paused it
                with contextlib.suppress(APIError):  # the attempt may have let it go on, and end
                    self._client.unpause(self._id)
                with contextlib.suppress(NotFound):
                    self._client.remove_container(self._id, force=True, v=True)
            elif error.status_code == 409:  # it is removing itself just now
                with contextlib.suppress(NotFound):
                    self._client.wait(self._id, timeout=self._client.timeout, condition="removed")
            else:
                raise


class DockerEngine:
    """A Docker engine, or whatever speaks its API."""

    def __init__(self, setting: str | None = None) -> None:
        self._connection = connect(setting)
        self.client = self._connection.client
        self._name = self._connection.name

    @property
    def may_be_elsewhere(self) -> bool:
        """Tell whether it is not on a socket of this machine."""
        return self._connection.address.partition("://")[0] in ("tcp", "ssh", "http", "https")

    @property
    def takes_up(self) -> bool:
        """Tell whether a container's stdin stays open for a second client when the first has left."""
        return self._name != "podman"

    def info(self) -> EngineInfo:
        """Return name and versions; raises EngineUnreachable when nothing answers."""
        version = translated(self.client.version, "tell its version")
        info = translated(self.client.info, "describe itself")
        return EngineInfo(
            name=self._name,
            version=str(version.get("Version", "")),
            api=str(self.client.api_version),
            address=str(self.client.base_url),
            rootless=any("rootless" in str(option) for option in info.get("SecurityOptions") or ()),
            runtimes=tuple(sorted(info.get("Runtimes") or ())),
            default_runtime=str(info.get("DefaultRuntime") or ""),
        )

    def create(self, spec: ContainerSpec) -> DockerContainer:
        """Create a container that removes itself when it ends. Raises ImageMissing."""
        if self._name == "podman" and spec.runtime:
            self._check_runtime(spec.runtime)
        config = container_config(spec, podman=self._name == "podman")
        bridge = spec.name if spec.network else ""
        if bridge:
            docker_bridge.make(self.client, bridge, spec.labels, podman=self._name == "podman")
        try:
            answer = self._explained(config, spec)
        except BaseException:
            if bridge:
                docker_bridge.remove(self.client, bridge)
            raise
        return DockerContainer(self.client, str(answer["Id"]), bridge=bridge, fence=self._fence(spec))

    def _fence(self, spec: ContainerSpec) -> Fence | None:
        """Return what closes ways, as this engine can have it."""
        if spec.fence is None:
            return None
        if self._name != "podman":
            return replace(spec.fence, runtime="runc")  # every Docker has it, and gVisor joins no network of another
        # Without root nobody may change the machine's network; but then bridges are in one of the user's own, where
        # nothing of the machine's is.
        return replace(spec.fence, outside=()) if self.info().rootless else spec.fence

    def _explained(self, config: dict[str, Any], spec: ContainerSpec) -> Any:
        """Return what the engine answers. Raises ImageMissing, FolderUnseen, EngineError."""
        try:
            return self._created(config, spec.name)
        except EngineError as error:
            if not any(text in str(error) for text in _NO_SUCH_FOLDER):
                raise
            (folder, *_) = [str(mount.source) for mount in spec.mounts] or ["a folder"]
            raise FolderUnseen(f"The engine cannot mount {folder}: it runs on another machine, or keeps to itself.",
                               next_step=f"Let it travel by copy, both ways: -w {folder}:copy") from None
        except NotFound:
            raise ImageMissing(f"The image {spec.image!r} is not present.",
                               next_step=f"Build a bundled one: sbi images build NAME; or: docker pull {spec.image}"
                               ) from None

    def _check_runtime(self, runtime: str) -> None:
        """Refuse a runtime that Podman would pass over in silence: its Docker API starts the one it is set up with."""
        default = str(translated(self.client.info, "describe itself").get("DefaultRuntime") or "")
        if default != runtime:
            raise EngineError(f"Podman takes no runtime over its Docker API, and so would not run {runtime!r}.",
                              next_step=f'Set runtime = "{runtime}" under [engine] in containers.conf, or use Docker.')

    def _created(self, config: dict[str, Any], name: str) -> Any:
        try:
            return translated(lambda: self._create(config, name), "create a container")
        except EngineError as error:
            if "range of cpus" not in str(error).lower():
                raise
        # The engine refuses a limit above what the machine has, where it would limit nothing.
        config["HostConfig"]["NanoCpus"] = int(translated(self.client.info, "describe itself")["NCPU"]) * 10**9
        return translated(lambda: self._create(config, name), "create a container")

    def _create(self, config: dict[str, Any], name: str) -> Any:
        return self.client.create_container_from_config(config, name)  # type: ignore[no-untyped-call]  # SDK

    def get(self, container_id: str) -> DockerContainer:
        """Return a container that exists, by identifier or name."""
        return DockerContainer(self.client, container_id)

    def list(self, labels: Mapping[str, str]) -> list[ContainerInfo]:
        """Return all containers, running or not, that carry every one of ``labels``."""
        wanted = {"label": [f"{name}={value}" if value else name for name, value in labels.items()]}
        found = translated(lambda: self.client.containers(all=True, filters=wanted), "list containers")
        return [ContainerInfo(id=str(entry["Id"]), name=str(entry["Names"][0]).lstrip("/") if entry["Names"] else "",
                              image=str(entry["Image"]), state=str(entry["State"]), labels=dict(entry["Labels"] or {}))
                for entry in found]

    def image_id(self, reference: str) -> str | None:
        """Return the content digest of an image; None if it is not present."""
        known = self.images().image(reference)
        return known.id if known else None

    def bridges(self, label: str) -> Sequence[BridgeInfo]:
        """Return the bridges that carry a label."""
        return docker_bridge.every(self.client, label)

    def remove_bridge(self, name: str) -> bool:
        """Remove a bridge, and tell whether it is gone; one that is used stays."""
        return docker_bridge.remove(self.client, name)

    def images(self) -> ImageStore:
        """Return the engine's image store."""
        from sandbox_interpreter.engines.docker_images import DockerImages

        return DockerImages(self.client)

    def transport(self) -> ImageTransport:
        """Return what moves the engine's images to registries, files and other engines."""
        from sandbox_interpreter.engines.docker_transport import DockerTransport

        return DockerTransport(self.client)

    def close(self) -> None:
        """Let go of connections."""
        self._connection.close()
