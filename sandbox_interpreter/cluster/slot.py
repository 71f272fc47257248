"""What runs on a node: an actor that drives one sandbox after the other on the engine of its machine."""

from __future__ import annotations

import dataclasses
import io
import itertools
import platform
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sandbox_interpreter import config
from sandbox_interpreter.cluster import rays, watch
from sandbox_interpreter.cluster.lodger import ASKED, Lodger
from sandbox_interpreter.cluster.orders import Facts, Order, opened
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import SandboxClosed, SandboxInterpreterError
from sandbox_interpreter.sandbox import launch
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.version import VERSION

if TYPE_CHECKING:
    from sandbox_interpreter.engines.base import ContainerEngine


class Slot:
    """Room for one sandbox at a time. Ray makes an actor of it, whose methods run in several threads.

    What it raises of this package's errors reaches the driver as it is.
    """

    def __init__(self) -> None:
        self._watch = watch.begin()
        watch.clear_soon()
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._engine: ContainerEngine | None = None
        self._lodger: tuple[int, Lodger] | None = None

    def facts(self) -> Facts:
        """Return where this is, and whether a sandbox could be here."""
        here = rays.here()
        problem = ""
        try:
            self._reached()
        except SandboxInterpreterError as error:
            problem = str(error)
        return Facts(here.node, here.address, VERSION, platform.python_version(), problem)

    def open(self, order: Order, *environment: bytes) -> int:
        """Return the number that a new sandbox is asked for by, which starts with its first run.

        Raises EngineUnreachable, UsageError.
        """
        variables = opened(environment)
        engine = self._reached()

        def make(lodger: Lodger) -> Sandbox:
            settings = _settings_for(order)
            return Sandbox(order.image, policy=order.policy, engine=engine, notify=lodger.notify,
                           env=variables["env"], secrets=variables["secrets"],
                           way_out=launch.way_out_of(settings, record=lodger.record), locked=order.locked,
                           standby=order.standby)

        lodger = Lodger(make)
        with self._lock:
            number = next(self._numbers)
            former, self._lodger = self._lodger, (number, lodger)
        if former:  # its driver has lost the thread
            former[1].close()
        return number

    def call(self, number: int, name: str, *arguments: Any) -> Any:
        """Return what the sandbox of that number answers; never another's, which may be here by now."""
        with self._lock:
            lodger = self._lodger[1] if self._lodger and self._lodger[0] == number else None
        if lodger is None or name not in ASKED:
            raise SandboxClosed("This sandbox was closed.", next_step="Make a new one.")
        if name == "upload":
            arguments = (_Fetched(arguments[0]), *arguments[1:])
        return getattr(lodger, name)(*arguments)

    def leave(self) -> None:
        """End the sandbox and this slot's process on the node; nothing is left that a watch would have to remove."""
        with self._lock:
            former, self._lodger = self._lodger, None
        if former:
            former[1].close()
        self._watch.dismiss()

    def _reached(self) -> ContainerEngine:
        """Return this node's own engine, which answers. Raises EngineUnreachable, ConfigError."""
        from sandbox_interpreter.engines.docker import DockerEngine

        with self._lock:
            self._engine = self._engine or DockerEngine(config.load().engine)
        self._engine.info()
        return self._engine


def _settings_for(order: Order) -> Settings:
    """Return what a sandbox's way out depends on: this node's certificates and engine, the order's network."""
    return dataclasses.replace(config.load(), image=order.image, network=order.policy.network,
                               runtime=order.policy.runtime, workspace=None)


class _Fetched(io.RawIOBase):
    """A file whose pieces are taken out of the object store one by one; bytes are a piece that came with the call."""

    def __init__(self, pieces: Sequence[Any]) -> None:
        self._pieces = list(pieces)
        self._at = io.BytesIO()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size``; b"" at the end."""
        while True:
            if data := self._at.read(size):
                return data
            if not self._pieces:
                return b""
            piece = self._pieces.pop(0)
            self._at = io.BytesIO(piece if isinstance(piece, bytes) else rays.fetch(piece))
