"""An engine that replays: what its containers say is what a script answers. Nothing is run, here or anywhere.

For tests of whatever stands above an engine, and to try what an agent could say, honest or not:

    def agent(frame):
        if frame.type == "hello":
            yield encode("ready", protocol=PROTOCOL, python="3", languages=[])
        if frame.type == "execute_request":
            yield encode("stream", frame.payload, id=frame.header["id"], name="stdout")
            yield encode("status", id=frame.header["id"], exit_code=0, limit=None, duration_ms=0, interrupted=False)

    with Sandbox(engine=ScriptedEngine(agent)) as box: ...
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from sandbox_interpreter.agent import boot
from sandbox_interpreter.agent.frames import HOST_FRAMES, HOST_PAYLOAD, Decoder, Frame
from sandbox_interpreter.engines.base import ContainerInfo, ContainerSpec, EngineInfo
from sandbox_interpreter.engines.sockets import READ_SIZE, SocketWire
from sandbox_interpreter.errors import EngineError

Agent = Callable[[Frame], Iterable[bytes]]
"""Is given each frame of the host; what it returns is sent as it is. If it raises SystemExit, its container ends."""


class ScriptedContainer:
    """One container that is only played; ``spec`` is what it was asked to be."""

    def __init__(self, agent: Agent, spec: ContainerSpec, identifier: str) -> None:
        self.spec = spec
        self._agent = agent
        self._id = identifier
        self._state = "created"
        self._begun = threading.Event()
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []

    @property
    def id(self) -> str:
        """Return the engine's identifier."""
        return self._id

    def attach(self) -> SocketWire:
        """Return its stdin and stdout; allowed before the start."""
        host, guest = socket.socketpair()
        # Only the client that comes first sends the agent's source, which is not for the script.
        skip = 0 if self._ends else len(boot.bundle())
        self._ends.append(guest)
        threading.Thread(target=self._serve, args=(guest, skip), name="sbi-scripted", daemon=True).start()
        return SocketWire(host)

    def _serve(self, guest: socket.socket, skip: int) -> None:
        decoder = Decoder(HOST_FRAMES, strict=False, most_payload=HOST_PAYLOAD)
        self._begun.wait()
        try:
            with contextlib.suppress(OSError), guest:  # the client has left, or the container was removed
                while data := guest.recv(READ_SIZE):
                    skip, data = max(skip - len(data), 0), data[skip:]
                    for answer in itertools.chain.from_iterable(map(self._agent, decoder.feed(data))):
                        guest.sendall(answer)
        except SystemExit:
            self.remove()

    def start(self) -> None:
        """Let the script begin. Raises EngineError once it has ended."""
        if self._state == "removed":
            raise EngineError(f"The container {self._id} was removed.")
        self._state = "running"
        self._begun.set()

    def state(self) -> str:
        """Return created, running, or removed."""
        return self._state

    def rename(self, name: str) -> bool:
        """Return whether it has the name from now on, and had another before."""
        with self._lock:
            renamed = self._state != "removed" and self.spec.name != name
            if renamed:
                self.spec = replace(self.spec, name=name)
        return renamed

    def remove(self) -> None:
        """End it; every client sees the end of its stream."""
        self._state = "removed"
        self._begun.set()
        for end in self._ends:
            with contextlib.suppress(OSError):  # closed by its own thread
                end.shutdown(socket.SHUT_RDWR)


class ScriptedEngine:
    """Plays one container after another with one script; ``containers`` are all that were created."""

    def __init__(self, agent: Agent) -> None:
        self.containers: list[ScriptedContainer] = []
        self._agent = agent

    def info(self) -> EngineInfo:
        """Return a name that tells what this is."""
        return EngineInfo(name="scripted", version="1", api="1", address="scripted")

    def create(self, spec: ContainerSpec) -> ScriptedContainer:
        """Create a container; every image is present."""
        self.containers.append(ScriptedContainer(self._agent, spec, f"scripted-{len(self.containers) + 1}"))
        return self.containers[-1]

    def get(self, container_id: str) -> ScriptedContainer:
        """Return a container by identifier or name. Raises EngineError."""
        for container in self.containers:
            if container_id in (container.id, container.spec.name):
                return container
        raise EngineError(f"There is no container {container_id!r}.")

    def list(self, labels: Mapping[str, str]) -> list[ContainerInfo]:
        """Return the containers that carry every one of ``labels`` (an empty value matches any), and still are."""
        return [ContainerInfo(each.id, each.spec.name, each.spec.image, each.state(), each.spec.labels)
                for each in self.containers if each.state() != "removed" and all(
                    name in each.spec.labels and value in ("", each.spec.labels[name])
                    for name, value in labels.items())]

    def close(self) -> None:
        """Remove every container."""
        for container in self.containers:
            container.remove()
