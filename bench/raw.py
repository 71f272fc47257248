"""The reference: what the engine's own API needs for the same job, with the same hardening."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bench.measure import timed
from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import launch, private
from sandbox_interpreter.sandbox.policy import Policy

PRINT = ["python3", "-c", "print(1)"]


class RawEngine:
    """Create, start, exec and remove, one API call each."""

    def __init__(self) -> None:
        self.engine = DockerEngine()
        self.api = self.engine.client
        self.image = index.resolve("python")
        self._workspace = private.create()

    def close(self) -> None:
        """Remove the workspace."""
        private.remove(self._workspace.folder)
        self.engine.close()

    def create(self) -> str:
        """Return the identifier of a new, hardened, running container that only sleeps."""
        spec = launch.container_spec(self.image, Policy(), self._workspace, launch.new_session_id())
        container = self.engine.create(replace(spec, command=("sleep", "600"), init=True))
        container.start()
        return container.id

    def execute(self, identifier: str, command: list[str]) -> bytes:
        """Return the output of a command run by exec."""
        return bytes(self.api.exec_start(self.api.exec_create(identifier, command)["Id"]))

    def remove(self, identifier: str) -> None:
        """Kill and remove a container."""
        self.engine.get(identifier).remove()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Yield the identifier of a running container; remove it afterwards."""
        identifier = self.create()
        try:
            yield identifier
        finally:
            self.remove(identifier)

    def cold(self) -> float:
        """Return the milliseconds from nothing to the output of print(1)."""
        started = time.perf_counter()
        identifier = self.create()
        assert self.execute(identifier, PRINT).endswith(b"1\n")
        taken = (time.perf_counter() - started) * 1000
        self.remove(identifier)
        return taken

    def removal(self) -> float:
        """Return the milliseconds that the removal of a running container takes."""
        identifier = self.create()
        return timed(lambda: self.remove(identifier))

    def relay(self, program: str) -> float:
        """Return the megabytes a second at which exec hands over what ``program`` writes."""
        with self.running() as identifier:
            handle = self.api.exec_create(identifier, ["python3", "-c", program])["Id"]
            started = time.perf_counter()
            size = sum(len(part) for part in self.api.exec_start(handle, stream=True))
            return size / 1e6 / (time.perf_counter() - started)
