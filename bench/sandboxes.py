"""Start, one more cell, close: the Python API against the raw engine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench.measure import Figure, paired, percentile, timed
from bench.raw import PRINT, RawEngine
from sandbox_interpreter.sandbox.sandbox import Sandbox

RUNS = 21
CELLS = 1000


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield the figures of a sandbox's life."""
    yield _cold(raw)
    yield from _cell(raw)
    yield _close(raw)


def _cold(raw: RawEngine) -> Figure:
    def ours() -> float:
        started = time.perf_counter()
        with Sandbox(engine=raw.engine) as box:
            next(iter(box.execute("python", "print(1)")))
            return (time.perf_counter() - started) * 1000

    bound = 0.8 if int(raw.engine.info().version.partition(".")[0]) >= 28 else 0.9
    mine, theirs = paired(ours, raw.cold, RUNS)
    return Figure("cold: new sandbox to first output of print(1)", mine, "ms", bound, theirs)


def _cell(raw: RawEngine) -> Iterator[Figure]:
    with Sandbox(engine=raw.engine) as box, raw.running() as container:
        times = [timed(lambda: list(box.execute("python", "print(1)"))) for _ in range(CELLS)][CELLS // 10 :]
        execs = statistics.median(timed(lambda: raw.execute(container, PRINT)) for _ in range(RUNS))
    median = statistics.median(times)
    yield Figure("one more cell: median", median, "ms", 1.0)
    yield Figure("one more cell: 99th percentile", percentile(times, 0.99), "ms", 4.0)
    yield Figure("one more cell against a raw exec of python", median, "ms", 1 / 60, execs)


def _close(raw: RawEngine) -> Figure:
    def ours() -> float:
        box = Sandbox(engine=raw.engine)
        list(box.execute("python", "print(1)"))
        return timed(box.close)

    mine, theirs = paired(ours, raw.removal, RUNS)
    return Figure("close against a raw removal", mine, "ms", 1.2, theirs)
