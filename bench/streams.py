"""Output at full speed, and what it costs the host in memory when the reader is fast or slow."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Figure, paired
from bench.raw import RawEngine
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.sandbox import Sandbox

MEGABYTES = 500
RUNS = 5
SLOW_MEGABYTES = 100
FLOOD = "import os\nblock = b'x' * 65536\nfor _ in range({megabytes} * 16): os.write(1, block)"


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield throughput, and the growth of this process's memory."""
    with Sandbox(engine=raw.engine) as box:
        list(box.execute("python", "1"))
        before = resident()
        program = FLOOD.format(megabytes=MEGABYTES)
        mine, theirs = paired(lambda: _read(box, program), lambda: raw.relay(program), RUNS)
        yield Figure(f"stdout relay of {MEGABYTES} MB against raw exec", mine, "MB/s", 0.5, theirs, "least")
        yield Figure("host memory growth at full speed", _peak() - before, "MB", 50)
        _read(box, FLOOD.format(megabytes=SLOW_MEGABYTES), pause=0.002)
        yield Figure("host memory growth with a slow reader", _peak() - before, "MB", 50)


def _read(box: Sandbox, program: str, *, pause: float = 0.0) -> float:
    started = time.perf_counter()
    size = 0
    for output in box.execute("python", program):
        assert isinstance(output, Stream)
        size += len(output.data)
        if pause:
            time.sleep(pause)
    return size / 1e6 / (time.perf_counter() - started)


def resident(process: Path = Path("/proc/self")) -> float:
    """Return the megabytes that a process, this one unless told otherwise, has in memory now."""
    return int((process / "statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def _peak() -> float:
    """Return the most megabytes that this process ever had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
