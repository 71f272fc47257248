"""Tasks on a Ray cluster of one, two and three nodes, each with its own engine, against the same tasks run locally.

All nodes are on this one machine, so its processors are shared: more nodes show what placing costs, not what more
machines bring.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.measure import Figure
from bench.raw import RawEngine
from bench.tasks import Quiet
from sandbox_interpreter.cluster import rays
from sandbox_interpreter.cluster.cluster import Cluster, ClusterSource
from sandbox_interpreter.cluster.slot import Slot
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.tasks.place import Here, Source, Switch, settings_of
from sandbox_interpreter.tasks.record import Task
from sandbox_interpreter.tasks.runner import TaskRunner
from sandbox_interpreter.tasks.tries import Folders, Tries
from tests.support.ray_cluster import IMAGE, RayCluster

NODES = 3
TASKS = 60
PARALLEL = 4
ALONE = 30
"""Tasks one after the other, for what each costs."""
STARTS = 5
_SETTINGS = Settings(image=IMAGE, cpus=0.5, memory=256 * 2**20)


def figures(_: RawEngine) -> Iterator[Figure]:
    """Yield what a task costs besides, the rates by nodes, and what an actor for each sandbox would cost."""
    ray_cluster = RayCluster(NODES, sandboxes=PARALLEL, begin=1)
    try:
        engine = ray_cluster.members[0].engine.address

        def here(_: Switch) -> Source:
            return Here(lambda: DockerEngine(engine))

        with Cluster(ray_cluster.address) as cluster:
            def there(switch: Switch) -> Source:
                return ClusterSource(cluster, switch.check)

            yield from _alone(here, there)
            for count in range(1, NODES + 1):
                if count > 1:
                    ray_cluster.add(ray_cluster.members[count - 1])
                _run(there, PARALLEL * count, PARALLEL)  # slots begin
                local, remote = _run(here, TASKS, PARALLEL), _run(there, TASKS, PARALLEL)
                yield Figure(f"trivial tasks on {count} node{'s' * (count > 1)}, {PARALLEL} at once, against locally",
                             TASKS / remote, "1/s", 0.7, TASKS / local, side="least")
            yield from _starts(engine)
    finally:
        ray_cluster.close()


def _alone(here: Callable[[Switch], Source], there: Callable[[Switch], Source]) -> Iterator[Figure]:
    _run(there, 2, 1)
    _run(here, 2, 1)
    rounds = [(_run(there, ALONE // 3, 1), _run(here, ALONE // 3, 1)) for _ in range(3)]
    remote, local = (statistics.median(each) / (ALONE // 3) * 1000 for each in zip(*rounds, strict=True))
    yield Figure("a trivial task on a node, one after the other, against locally", remote, "ms", 1.5, local)
    yield Figure("overhead for each of them", max(remote - local, 0.0), "ms", 60)


def _starts(engine: str) -> Iterator[Figure]:
    """Yield what a new actor takes, against a new sandbox: why slots are used again."""
    actors, boxes = [], []
    for _ in range(STARTS):
        begun = time.perf_counter()
        actor = rays.start(Slot, cpus=0.5, memory=0)
        rays.ask(actor.facts.remote(), "")
        actors.append((time.perf_counter() - begun) * 1000)
        rays.ask(actor.leave.remote(), "")
        rays.end(actor)
        begun = time.perf_counter()
        with Sandbox(IMAGE, engine=engine) as box:
            assert [*box.execute("python", "print(1)")]
            boxes.append((time.perf_counter() - begun) * 1000)
    yield Figure("a new actor, against a new sandbox: why actors are used again", statistics.median(actors), "ms", 1,
                 statistics.median(boxes), side="least")


def _run(source: Callable[[Switch], Source], count: int, parallel: int) -> float:
    """Return the seconds that ``count`` trivial tasks take."""
    switch = Switch()
    tasks = [Task(str(number), Path(f"/{number}"), code="print(1)") for number in range(count)]
    tries = [Tries(each, settings_of(each, _SETTINGS), Folders(), switch) for each in tasks]
    runner = TaskRunner(tries, switch=switch, make_source=lambda: source(switch), parallel=parallel)
    begun = time.perf_counter()
    runner.run(Quiet())
    taken = time.perf_counter() - begun
    assert runner.report().counts["passed"] == count
    return taken
