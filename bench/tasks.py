"""Task files: how many trivial ones a second, against the engine's own create, start and remove."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

from bench.measure import Figure
from bench.raw import RawEngine
from bench.streams import resident
from sandbox_interpreter.config import Settings
from sandbox_interpreter.sandbox import launch
from sandbox_interpreter.tasks.place import Here, Switch, settings_of
from sandbox_interpreter.tasks.record import Task
from sandbox_interpreter.tasks.results import TaskResult
from sandbox_interpreter.tasks.runner import TaskRunner
from sandbox_interpreter.tasks.tries import Folders, Tries

TASKS = 1000
PARALLEL = 4
ROUND = 100
"""Tasks of one round; ours and the engine's take turns, so that a drifting machine touches both alike."""


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield the rates of trivial tasks, in containers of their own and as cells, and what a run of many costs."""
    ours = theirs = 0.0
    _run(ROUND, "container")
    before = resident()
    for _ in range(TASKS // ROUND):
        ours += _run(ROUND, "container")
        theirs += _raw(raw, ROUND)
    grown = resident() - before
    reference = TASKS / theirs
    yield Figure(f"trivial tasks, {PARALLEL} at once, against create+start+remove", TASKS / ours, "1/s", 0.85,
                 reference, side="least")
    yield Figure("the same with isolation: cell", TASKS / _run(TASKS, "cell"), "1/s", 20, reference, side="least")
    yield Figure(f"growth of the host process over {TASKS} tasks", grown, "MB", 100)


def _run(count: int, isolation: str) -> float:
    """Return the seconds that ``count`` trivial tasks take."""
    switch = Switch()
    tasks = [Task(str(number), Path(f"/{number}"), code="print(1)", isolation=isolation) for number in range(count)]
    tries = [Tries(each, settings_of(each, Settings()), Folders(), switch) for each in tasks]
    runner = TaskRunner(tries, switch=switch, make_source=lambda: Here(lambda: launch.engine_of(None)),
                        parallel=PARALLEL)
    begun = time.perf_counter()
    runner.run(Quiet())
    taken = time.perf_counter() - begun
    assert runner.report().counts["passed"] == count
    return taken


class Quiet:
    """A board that shows nothing."""

    def started(self, name: str) -> None:
        """Pass over it."""

    def ended(self, result: TaskResult) -> None:
        """Pass over it."""


def _raw(raw: RawEngine, count: int) -> float:
    """Return the seconds that the engine's own create, start and remove of as many containers take."""
    waiting: SimpleQueue[int] = SimpleQueue()
    for number in range(count):
        waiting.put(number)
    workers = [threading.Thread(target=_until_empty, args=(waiting, lambda: raw.remove(raw.create())))
               for _ in range(PARALLEL)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - begun


def _until_empty(waiting: SimpleQueue[int], job: Callable[[], object]) -> None:
    try:
        while True:
            waiting.get_nowait()
            job()
    except Empty:
        pass
