"""What the sandbox asks of a container engine: small protocols in the engine's own verbs. Images: image_base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Protocol, runtime_checkable

from sandbox_interpreter.frozen import frozen


@frozen
class Mount:
    """A host folder shown inside the container."""

    source: Path
    target: str
    read_only: bool = False


BRIDGE_INTERFACE = "sbi-"
"""How the interfaces of containers' own bridges begin, on the engine's machine."""


@frozen
class Fence:
    """What closes ways of a container's network before anything runs in it: commands that may change networks.

    ``outside`` runs in the network of the engine's machine, where the bridge is, unless it is empty; ``inside`` in the
    container's own.
    """

    image: str
    outside: tuple[str, ...]
    inside: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    runtime: str | None = None


@frozen
class BridgeInfo:
    """A container's own bridge that the engine lists; ``used`` tells whether a running container is on it."""

    name: str
    labels: Mapping[str, str]
    used: bool


@frozen
class ContainerSpec:
    """Everything an engine needs to create one container; sizes in bytes.

    It holds no secrets: an engine shows all of this to whoever may inspect the container.
    """

    image: str
    command: tuple[str, ...]
    name: str
    user: str
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    memory: int = 0
    cpus: float = 0.0
    pids: int = 0
    nofile: int = 0
    network: bool = False
    """Whether it gets a bridge of its own; without one it has no interface but loopback."""
    init: bool = False
    """Whether the engine's own init is its first process. The agent brings one, which the agent's filter holds."""
    fence: Fence | None = None
    runtime: str | None = None


@frozen
class EngineInfo:
    """What answered: ``name`` is docker or podman, ``version`` its release, ``api`` the API version spoken."""

    name: str
    version: str
    api: str
    address: str
    rootless: bool = False
    runtimes: tuple[str, ...] = ()
    default_runtime: str = ""
    """What runs a container that asks for none; "" where it is not told."""


@frozen
class ContainerInfo:
    """A container that the engine lists."""

    id: str
    name: str
    image: str
    state: str
    labels: Mapping[str, str]


class Wire(Protocol):
    """A container's attached stdin and stdout as one duplex byte stream, non-blocking to read."""

    def fileno(self) -> int:
        """Return the descriptor that a selector can wait on."""

    def receive(self) -> bytes | None:
        """Return the stdout bytes that are there now; b"" for none yet; None once the container has ended."""

    def send(self, data: bytes) -> None:
        """Write all of ``data`` to stdin. Raises ChannelError when the container is gone."""

    def diagnostics(self) -> str:
        """Return the last of what the container wrote to stderr: the reason when the agent failed to start."""

    def close(self) -> None:
        """Let go of the stream; the container lives on."""


class Container(Protocol):
    """One container. Methods raise EngineError; a container that is gone already is no error on removal."""

    @property
    def id(self) -> str:
        """Return the engine's identifier."""

    def attach(self) -> Wire:
        """Return its stdin and stdout. Allowed before the start, so that no first byte is lost."""

    def start(self) -> None:
        """Start the main process; returns when the engine says that it runs."""

    def state(self) -> str:
        """Return created, running, paused, exited, dead, or removed."""

    def remove(self) -> None:
        """Kill and remove it, and return once it is gone; one that is gone already is no error."""


@frozen
class CommandOutput:
    """Bytes that a command wrote, to stderr or else to stdout."""

    is_error: bool
    data: bytes


class Command(Protocol):
    """A further process in a container that runs. Methods raise EngineError, or ChannelError when it is gone."""

    def receive(self, most: int, seconds: float) -> CommandOutput | None:
        """Return at most ``most`` bytes; None if none came within ``seconds``. Raises EOFError at the end."""

    def send(self, data: bytes) -> None:
        """Write all of ``data`` to its stdin."""

    def close_stdin(self) -> None:
        """Let it see the end of its stdin."""

    def exit_code(self) -> int | None:
        """Return what it ended with; None while it runs."""

    def close(self) -> None:
        """Let go of its streams; it goes on."""


@runtime_checkable
class RunsCommands(Protocol):
    """A container in which more than its main process can be started."""

    def command(self, words: Sequence[str]) -> Command:
        """Start a command as the container's user, in its root folder. Raises EngineError."""


@runtime_checkable
class KeepsBridges(Protocol):
    """An engine that gives a container with a network a bridge of its own."""

    def bridges(self, label: str) -> Sequence[BridgeInfo]:
        """Return the bridges that carry a label. Raises EngineError."""

    def remove_bridge(self, name: str) -> bool:
        """Remove a bridge, and tell whether it is gone; one that is used stays. Raises EngineUnreachable."""


@runtime_checkable
class MayBeElsewhere(Protocol):
    """An engine that is reached in a way by which it may be on another machine."""

    @property
    def may_be_elsewhere(self) -> bool:
        """Tell whether it is not on a socket of this machine."""


@runtime_checkable
class Renamable(Protocol):
    """A container whose name can be changed, which decides a race for it."""

    def rename(self, name: str) -> bool:
        """Return whether it has the name from now on, and had another before; False also where it is gone.

        Of several who ask for the same name, one is told so. Raises EngineError.
        """


class ContainerEngine(Protocol):
    """Where containers live. Methods raise EngineUnreachable or EngineError."""

    def info(self) -> EngineInfo:
        """Return name and versions; raises EngineUnreachable when nothing answers."""

    def create(self, spec: ContainerSpec) -> Container:
        """Create a container that removes itself when it ends. Raises ImageMissing."""

    def get(self, container_id: str) -> Container:
        """Return a container that exists, by identifier or name."""

    def list(self, labels: Mapping[str, str]) -> list[ContainerInfo]:
        """Return all containers, running or not, that carry every one of ``labels``."""

    def close(self) -> None:
        """Let go of connections."""


@runtime_checkable
class TakesUp(Protocol):
    """An engine that tells whether a container outlives its first client."""

    @property
    def takes_up(self) -> bool:
        """Tell whether a container's stdin stays open for a second client when the first has left."""
