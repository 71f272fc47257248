"""Warm starts: a run that begins in a standby against the engine's own command line, and a pool's first output."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import closing

from bench.command_line import RUNS, SBI, docker_run, run
from bench.measure import Figure, paired, timed
from bench.raw import RawEngine
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import standby
from sandbox_interpreter.sandbox.pool import Pool


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield the figures of standbys and pools."""
    if shutil.which("docker"):
        mine, theirs = paired(lambda: _warm(raw), lambda: timed(lambda: run(docker_run(raw))), RUNS)
        yield Figure("sbi run --standby 1 -c 'print(1)' against docker run --rm", mine, "ms", 0.6, theirs)
    with Pool(1, engine=raw.engine) as pool:
        first = statistics.median(_taken(pool) for _ in range(RUNS))
        yield Figure("from Pool.take to the first output", first, "ms", 15)
    with closing(DockerEngine()) as engine:
        standby.dismiss(engine)


def _warm(raw: RawEngine) -> float:
    """Return the milliseconds of a run in a standby, which is there before it begins."""
    wanted = standby.Wanted("python", Settings().policy(), None)
    standby.leave(raw.engine, wanted, most=1)
    taken = timed(lambda: run([SBI, "run", "--standby", "1", "-c", "print(1)"]))
    while not standby.waits(raw.engine, wanted):  # what it leaves behind is not to be in the way of what comes next
        time.sleep(0.05)
    return taken


def _taken(pool: Pool) -> float:
    assert pool.wait()
    begun = time.perf_counter()
    with pool.take() as box:
        for _ in box.execute("python", "print(1)"):
            break
        return (time.perf_counter() - begun) * 1000
