"""Where a task runs: the settings that it comes to, its sandbox, and the switch that ends all of them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from sandbox_interpreter import environment
from sandbox_interpreter.config import Settings
from sandbox_interpreter.config.conversion import check_range
from sandbox_interpreter.config.settings import SPECS
from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.errors import ConfigError, SandboxInterpreterError
from sandbox_interpreter.sandbox import launch
from sandbox_interpreter.sandbox.chunks import Run
from sandbox_interpreter.sandbox.gate import Record
from sandbox_interpreter.sandbox.policy import MIB
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from sandbox_interpreter.tasks.record import Task
from sandbox_interpreter.values import parse_locks

MOST_OUTPUT = 64 * MIB
"""Bytes of output of one run where no setting says less: a log that fills a disk helps nobody."""


class Stopped(Exception):
    """The tasks were told to end."""


class Box(Protocol):
    """What a task needs of a sandbox, on whatever machine: what ``Sandbox`` says of these methods holds."""

    def upload(self, source: BinaryIO, target: str) -> None:
        """Copy a file in."""

    def execute(self, language: str, code: str, *, script: Script | None = None) -> Run:
        """Return a run that has begun."""

    def files(self, pattern: str) -> list[str]:
        """Return names of the workspace's files."""

    def download(self, pattern: str, folder: Path) -> list[Path]:
        """Copy files out."""

    def close(self, *, wait: bool = True) -> None:
        """End the sandbox."""


class Source(Protocol):
    """Where the sandboxes of one thread come from."""

    def new(self, settings: Settings, record: Record | None) -> Box:
        """Return a fresh one; ``record`` is told of connections out of it. Raises Stopped, UsageError, EngineError."""

    def wipe(self, box: Box) -> None:
        """Forget what a task has left in a sandbox: its kernels' state, its workspace. Raises SandboxError."""

    def close(self) -> None:
        """Let go of what was needed to make them; all of them were closed before."""


class Here:
    """Sandboxes of this machine's engine, which ``make_engine`` returns: called once, when the first needs it."""

    def __init__(self, make_engine: Callable[[], ContainerEngine]) -> None:
        self._make_engine = make_engine
        self._engine: ContainerEngine | None = None

    def new(self, settings: Settings, record: Record | None) -> Sandbox:
        """Return a sandbox, which its first run starts. Raises UsageError, EngineError."""
        self._engine = self._engine or self._make_engine()
        return Sandbox(settings.image, policy=settings.policy(), engine=self._engine, notify=lambda _: None,
                       env=environment.variables(settings), secrets=environment.secrets(settings),
                       way_out=launch.way_out_of(settings, record=record), locked=parse_locks(settings.lock),
                       standby=settings.standby > 0)

    def wipe(self, box: Box) -> None:
        """Reset the kernels and empty the workspace. Raises SandboxError."""
        assert isinstance(box, Sandbox)
        box.wipe()

    def close(self) -> None:
        """Let go of the engine."""
        if self._engine:
            self._engine.close()


class Switch:
    """Ends every sandbox at once, and lets no other begin. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: set[Box] = set()
        self.is_off = False

    def check(self) -> None:
        """Raise Stopped if the tasks were told to end."""
        if self.is_off:
            raise Stopped

    @contextmanager
    def holding(self, box: Box) -> Iterator[Box]:
        """Give a sandbox that has not started to what follows; it is closed at the end. Raises Stopped."""
        with self._lock:
            self.check()
            self._boxes.add(box)
        try:
            yield box
        finally:
            with self._lock:
                self._boxes.discard(box)
            box.close(wait=False)

    def turn_off(self) -> None:
        """End the sandboxes; returns when all of their containers have."""
        with self._lock:
            self.is_off = True
            boxes = list(self._boxes)
        closers = [threading.Thread(target=_close, args=(box,), daemon=True) for box in boxes]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join()


def _close(box: Box) -> None:
    with suppress(SandboxInterpreterError):  # its own thread meets the same
        box.close()


def settings_of(task: Task, base: Settings) -> Settings:
    """Return the settings that a task runs with: its own over ``base``, those of the command line.

    Raises ConfigError: the task wants the network, to know a secret, or to spend money, beyond what ``base`` allows.
    """
    own = dict(task.settings)
    if not SPECS["network"].project.allows(own.get("network", base.network), base.network):
        raise ConfigError(f"{task.file}: network: this file may only narrow what you allow, which is {base.network!r}.",
                          next_step=f"To allow it, in every task: --network {own['network']}")
    if not SPECS["max_budget"].project.allows(own.get("max_budget", base.max_budget), base.max_budget):
        raise ConfigError(f"{task.file}: budget: this file may only lower yours, which is {base.max_budget:g}.",
                          next_step=f"To allow it, in every task: SBI_MAX_BUDGET={own['max_budget']:g}")
    if unknown := [name for name in own.get("secret", ()) if name not in base.secret]:
        raise ConfigError(f"{task.file}: secret: you have not allowed {', '.join(unknown)}.",
                          next_step=f"To allow it: --secret {unknown[0]}")
    own["env"] = (*base.env, *own.get("env", ()))
    settings = dataclasses.replace(base, workspace=None, output=base.output or MOST_OUTPUT)
    settings = dataclasses.replace(settings, **own)
    check_range("output", settings.output)
    settings.check()
    return settings


class Places:
    """The sandboxes of one thread, which takes one task after the other. A context; it closes what is left."""

    def __init__(self, switch: Switch, source: Source) -> None:
        self._switch = switch
        self._source = source
        self._kept: tuple[object, Box] | None = None
        self._holds = ExitStack()

    @contextmanager
    def lend(self, task: Task, settings: Settings, record: Record) -> Iterator[Box]:
        """Give a sandbox for one task: a new one, or, for ``isolation: cell``, one that others have used.

        ``record`` is told of the connections out of a new one. Raises Stopped, UsageError, EngineError.
        """
        if task.isolation == "container":
            with self._switch.holding(self._source.new(settings, record)) as box:
                yield box
            return
        box = self._shared(settings)
        try:
            yield box
            self._source.wipe(box)
        except BaseException:
            self.close()
            raise

    def _shared(self, settings: Settings) -> Box:
        key = (settings.image, settings.policy(), settings.env, settings.env_file, settings.secret)
        if self._kept and self._kept[0] != key:
            self.close()
        if self._kept is None:
            self._kept = key, self._holds.enter_context(self._switch.holding(self._source.new(settings, None)))
        return self._kept[1]

    def close(self) -> None:
        """End the shared sandbox, if there is one."""
        self._kept = None
        self._holds.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._source.close()
