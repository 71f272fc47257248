"""Many sessions at work for minutes, then hundreds that come and go: errors, leaks, and what gets slower."""

from __future__ import annotations

import gc
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Figure, percentile, timed
from bench.raw import RawEngine
from bench.streams import resident
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.sandbox import Sandbox

SESSIONS = 60
SECONDS = 120
EDGE = 20
"""Seconds at the start and at the end that are compared."""
IN_TURN = 300
COMPARED = 30
"""Sessions at the start and at the end that are compared, each with the engine's own start right behind it."""


@dataclass
class Tally:
    """What many threads saw: each cell's milliseconds by the second in which it began, and what failed."""

    cells: list[tuple[float, float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def between(self, begin: float, end: float) -> list[float]:
        """Return the milliseconds of the cells that began between two seconds."""
        return [milliseconds for second, milliseconds in self.cells if begin <= second < end]


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield what 60 sessions with a cell a second do to each other, and what 300 sessions in turn leave behind."""
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir, before = folder, tempfile.tempdir
        try:
            with Sandbox(engine=raw.engine) as box:
                answer(box)  # what is opened once stays open
            yield from _at_once(raw)
            yield from _in_turn(raw, Path(folder))
        finally:
            tempfile.tempdir = before


def answer(box: Sandbox) -> None:
    """Run one cell. Raises RuntimeError when it does not say what it should."""
    execution = box.execute("python", "print(20 + 2)")
    said = b"".join(getattr(output, "data", b"") for output in execution)
    if said != b"22\n" or execution.result.exit_code:
        raise RuntimeError(f"it said {said!r} and ended with {execution.result}")


def _at_once(raw: RawEngine) -> Iterator[Figure]:
    tally = Tally()
    with ExitStack() as stack:
        boxes = [stack.enter_context(Sandbox(engine=raw.engine)) for _ in range(SESSIONS)]
        with ThreadPoolExecutor(SESSIONS) as threads:
            list(threads.map(lambda box: _guarded(tally, box), boxes))
            memory, began = resident(), time.monotonic()
            list(threads.map(lambda at: _work(tally, boxes[at], began, at / SESSIONS), range(SESSIONS)))
        growth = resident() - memory
    first, last = tally.between(0, EDGE), tally.between(SECONDS - EDGE, SECONDS)
    yield Figure(f"errors of {SESSIONS} sessions, {len(tally.cells)} cells in {SECONDS} s", len(tally.errors), "", 0)
    # The quick ones of each: what else the machine does at that moment is in the others.
    yield Figure(f"cell, the last {EDGE} s against the first, 10th percentile", percentile(last, 0.1), "ms", 1.5,
                 percentile(first, 0.1))
    # From a second on, they would pile up.
    yield Figure(f"cell of {SESSIONS} sessions with one a second, p99", percentile(first + last, 0.99), "ms", 1000)
    yield Figure("host memory growth meanwhile", growth, "MB", 10)


def _guarded(tally: Tally, box: Sandbox) -> float:
    try:
        return timed(lambda: answer(box))
    except (SandboxInterpreterError, RuntimeError) as error:
        tally.errors.append(str(error))
        return 0.0


def _work(tally: Tally, box: Sandbox, began: float, offset: float) -> None:
    for second in range(SECONDS):
        time.sleep(max(began + second + offset - time.monotonic(), 0))
        started = time.monotonic() - began
        tally.cells.append((started, _guarded(tally, box)))


def _in_turn(raw: RawEngine, folder: Path) -> Iterator[Figure]:
    tally = Tally()
    sessions: set[str] = set()
    ratios: list[float] = []
    raw.cold()
    gc.collect()
    before, threads, memory = _descriptors(), threading.active_count(), resident()
    for number in range(IN_TURN):
        box = Sandbox(engine=raw.engine)
        sessions.add(box.session)
        first = _guarded(tally, box)
        box.close()
        if not COMPARED <= number < IN_TURN - COMPARED:
            ratios.append(first / raw.cold())
    gc.collect()
    yield Figure(f"errors of {IN_TURN} sessions in turn", len(tally.errors), "", 0)
    yield Figure(f"start to first cell in raw engine's starts, the last {COMPARED} sessions against the first",
                 statistics.median(ratios[-COMPARED:]), "x", 1.5, statistics.median(ratios[:COMPARED]))
    yield Figure("host memory growth after them", resident() - memory, "MB", 10)
    yield Figure("descriptors left open", max(_descriptors() - before, 0), "", 0)
    yield Figure("threads left running", max(threading.active_count() - threads, 0), "", 0)
    left = [each for each in raw.engine.list({LABEL: ""}) if each.labels.get(f"{LABEL}.session") in sessions]
    yield Figure("containers left behind", len(left), "", 0)
    yield Figure("volumes and networks left behind", _kept(raw), "", 0)
    yield Figure("temporary files left behind", len(list(folder.iterdir())), "", 0)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _kept(raw: RawEngine) -> int:
    client, ours = raw.engine.client, {"label": [LABEL]}
    return len(client.volumes(filters=ours)["Volumes"] or ()) + len(client.networks(filters=ours))
