"""What a sandbox asks of a local engine from its start to its end, without the SDK, whose import takes longer.

A create, an attachment, a start and a removal, or, where a container waits to be taken up (see ``sandbox.standby``), a
look at the image, a list and a rename are all that stands between `sbi run` and its program's output; loading the SDK
would be half of the time. All else goes to the adapter, which loads then: bridges, images, Podman's own ways, and every
create that the engine refuses, so that the adapter alone knows what a refusal means and what helps.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sandbox_interpreter.engines.base import Container, ContainerInfo, ContainerSpec, EngineInfo
from sandbox_interpreter.engines.docker_spec import container_config
from sandbox_interpreter.engines.docker_wire import DockerWire
from sandbox_interpreter.engines.quick_service import CONFLICT, NOT_FOUND, OK, Service

if TYPE_CHECKING:
    from sandbox_interpreter.engines.base import Command
    from sandbox_interpreter.engines.docker import DockerEngine
    from sandbox_interpreter.engines.image_base import ImageStore

_SOCKET = "/var/run/docker.sock"
_HAS_IT = (400, CONFLICT)  # of a rename: it has that name already, or another container has
_ATTACH = "attach?stdin=1&stdout=1&stderr=1&stream=1"


def quick(setting: str | None) -> QuickEngine | None:
    """Return the engine that a setting names, if it is on a socket of this machine; else None."""
    address = setting if setting not in (None, "docker") else os.environ.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    path = address.removeprefix("unix://") if address and address.startswith("unix://") else ""
    try:
        is_socket = bool(path) and stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        is_socket = False
    return QuickEngine(setting, path) if is_socket else None


class QuickEngine:
    """An engine on a local socket. Methods raise EngineUnreachable or EngineError."""

    def __init__(self, setting: str | None, path: str) -> None:
        self._setting = setting
        self._service = Service(path)
        self._whole: DockerEngine | None = None

    @property
    def whole(self) -> DockerEngine:
        """Return the adapter proper for the same engine."""
        from sandbox_interpreter.engines.docker import DockerEngine

        self._whole = self._whole or DockerEngine(self._setting)
        return self._whole

    @property
    def takes_up(self) -> bool:
        """Tell whether a container's stdin stays open for a second client when the first has left."""
        return not self._service.is_podman

    def info(self) -> EngineInfo:
        """Return name and versions."""
        return self.whole.info()

    def create(self, spec: ContainerSpec) -> Container:
        """Create a container that removes itself when it ends. Raises ImageMissing."""
        if not spec.network and not self._service.is_podman:
            answer = self._service.ask("POST", f"/containers/create?name={quote(spec.name)}", container_config(spec))
            if answer.status in OK:
                return QuickContainer(self, self._service, str(answer.data["Id"]), has_bridge=False)
        return self.whole.create(spec)

    def get(self, container_id: str) -> QuickContainer:
        """Return a container that exists, by identifier or name."""
        return QuickContainer(self, self._service, container_id)

    def list(self, labels: Mapping[str, str]) -> list[ContainerInfo]:
        """Return all containers, running or not, that carry every one of ``labels``."""
        wanted = {"label": [f"{name}={value}" if value else name for name, value in labels.items()]}
        answer = self._service.ask("GET", f"/containers/json?all=1&filters={quote(json.dumps(wanted))}")
        return [ContainerInfo(id=str(entry["Id"]), name=str(entry["Names"][0]).lstrip("/") if entry["Names"] else "",
                              image=str(entry["Image"]), state=str(entry["State"]), labels=dict(entry["Labels"] or {}))
                for entry in answer.check("list containers").data]

    def image_id(self, reference: str) -> str | None:
        """Return the content digest of an image; None if it is not present."""
        if ".." in reference:  # no reference has that, and a path would be another question to the engine
            return None
        answer = self._service.ask("GET", f"/images/{quote(reference)}/json").check("inspect an image", NOT_FOUND)
        return None if answer.status == NOT_FOUND else str(answer.data["Id"])

    def images(self) -> ImageStore:
        """Return the engine's image store."""
        return self.whole.images()

    def close(self) -> None:
        """Let go of connections."""
        if self._whole:
            self._whole.close()


class QuickContainer:
    """One container of such an engine."""

    def __init__(self, engine: QuickEngine, service: Service, container_id: str, *,
                 has_bridge: bool | None = None) -> None:
        """Stand for a container. ``has_bridge`` is None where it is not known whether it has one of its own."""
        self._engine = engine
        self._service = service
        self._id = container_id
        self._has_bridge = has_bridge

    @property
    def id(self) -> str:
        """Return the engine's identifier."""
        return self._id

    def attach(self) -> DockerWire:
        """Return its stdin and stdout; allowed before the start."""
        return DockerWire(self._service.hijack(f"/containers/{self._id}/{_ATTACH}"))

    def start(self) -> None:
        """Start the main process."""
        self._service.ask("POST", f"/containers/{self._id}/start").check("start a container")

    def state(self) -> str:
        """Return created, running, paused, exited, dead, or removed."""
        answer = self._inspected()
        return "removed" if answer is None else str(answer["State"]["Status"])

    def _inspected(self) -> dict[str, Any] | None:
        answer = self._service.ask("GET", f"/containers/{self._id}/json").check("inspect a container", NOT_FOUND)
        return None if answer.status == NOT_FOUND else answer.data

    def command(self, words: Sequence[str]) -> Command:
        """Start a command as the container's user, in its root folder."""
        return self._engine.whole.get(self._id).command(words)

    def rename(self, name: str) -> bool:
        """Return whether it has the name from now on, and had another before; False also where it is gone."""
        answer = self._service.ask("POST", f"/containers/{self._id}/rename?name={quote(name)}")
        if b"already" in answer.body:  # Podman's words for it, which it says with status 500
            return False
        return answer.check("rename a container", NOT_FOUND, *_HAS_IT).status in OK

    def remove(self) -> None:
        """Kill and remove it, and return once it is gone; one that is gone already is no error."""
        if self._has_bridge is None:
            found = self._inspected()
            self._has_bridge = found is not None and found["HostConfig"]["NetworkMode"] != "none"
        if self._has_bridge or self._service.is_podman:
            self._engine.whole.get(self._id).remove()
            return
        answer = self._service.ask("DELETE", f"/containers/{self._id}?force=1&v=1")
        if answer.check("remove a container", NOT_FOUND, CONFLICT).status == CONFLICT:  # it is removing itself just now
            waiting = self._service.ask("POST", f"/containers/{self._id}/wait?condition=removed")
            waiting.check("wait for a container's removal", NOT_FOUND)
