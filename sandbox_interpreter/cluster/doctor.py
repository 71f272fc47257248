"""What each node of a cluster has: releases, its engine, the images in that, and whether sandboxes go there."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox_interpreter.cluster import rays
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.version import VERSION

SECONDS = 60.0
"""Seconds that nodes have to answer: a job may have to wait for a process to run in."""


@dataclass(frozen=True)
class Findings:
    """What a node found at itself. ``engine`` is the engine in a few words, ``""`` after a ``problem``."""

    releases: Mapping[str, str]
    engine: str = ""
    images: tuple[str, ...] = ()
    problem: str = ""
    mend: str = ""


@dataclass(frozen=True)
class NodeReport:
    """One node. ``problems`` are sentences, each with what mends it behind a line break; none, and all is well.

    ``sandboxes`` is how many may be there at once, ``cpus`` processors and ``memory`` bytes as Ray counts them.
    """

    node: str
    address: str
    host: str
    sandboxes: int
    cpus: float
    memory: int
    findings: Findings | None
    problems: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Tell whether sandboxes can be there."""
        return not self.problems

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON-shaped data."""
        return {"ok": self.ok, **asdict(self)}


def releases() -> dict[str, str]:
    """Return the releases that have to be the same on all machines."""
    return {"sbi": VERSION, "python": platform.python_version(), "ray": str(rays.library().__version__)}


def look() -> Findings:
    """Return what this very machine has: called on each node."""
    from sandbox_interpreter import config
    from sandbox_interpreter.catalogue import index
    from sandbox_interpreter.engines.docker import DockerEngine

    try:
        with closing(DockerEngine(config.load().engine)) as engine:
            info, store = engine.info(), engine.images()
            images = tuple(each.name for each in index.bundled().values() if store.image(each.tag))
            return Findings(releases(), f"{info.name} {info.version}, API {info.api}", images)
    except SandboxInterpreterError as error:
        return Findings(releases(), problem=str(error), mend=error.next_step)


def examine(seconds: float = SECONDS) -> Iterator[NodeReport]:
    """Yield what each living node of the cluster has that this process has joined. Raises EngineError."""
    for node, answer in rays.on_each(look, sorted(rays.nodes(), key=lambda node: node.address), seconds):
        findings = answer if isinstance(answer, Findings) else None
        sandboxes = int(node.total.get(rays.RESOURCE, 0))
        yield NodeReport(node.node, node.address, node.host, sandboxes, node.total.get("CPU", 0.0),
                         int(node.total.get("memory", 0)), findings,
                         tuple(_problems(sandboxes, findings, answer, seconds)))


def _problems(sandboxes: int, findings: Findings | None, answer: object, seconds: float) -> Iterator[str]:
    if findings is None:
        what = f"It did not answer within {seconds:g} s." if isinstance(answer, TimeoutError) else str(answer)
        yield f"{what}\n{getattr(answer, 'next_step', '') or 'Look at it: ray status'}"
        return
    for name, here in releases().items():
        there = findings.releases.get(name, "none")
        if there != here:
            yield f"It has {name} {there}, and here is {here}.\nTake the same release on both."
    if findings.problem:
        yield f"{findings.problem}\n{findings.mend}".rstrip()
    elif not sandboxes:
        yield (f"It has an engine, and no sandbox goes there: Ray was not told.\n"
               f"Start it with: ray start --address=HOST:6379 --resources='{{\"{rays.RESOURCE}\": 4}}'")
    elif not findings.images:
        yield ("Its engine has none of the bundled images, and builds one when it is first needed.\n"
               "Do it now, there: sbi images build python")
