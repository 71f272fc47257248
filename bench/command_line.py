"""Whole processes: sbi against the engine's own command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Figure, paired, timed
from bench.raw import RawEngine

RUNS = 15
SBI = str(Path(sys.executable).with_name("sbi"))


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield the figures of the command line."""
    times = sorted(timed(lambda: run([SBI, "--help"])) for _ in range(RUNS))
    yield Figure("sbi --help", times[RUNS // 2], "ms", 250)
    if shutil.which("docker") is None:
        return
    mine, theirs = paired(lambda: timed(lambda: run([SBI, "run", "-c", "print(1)"])),
                          lambda: timed(lambda: run(docker_run(raw))), RUNS)
    yield Figure("sbi run -c 'print(1)' against docker run --rm", mine, "ms", 1.6, theirs)


def docker_run(raw: RawEngine) -> list[str]:
    """Return the engine's own command for the same job."""
    return ["docker", "run", "--rm", "--network", "none", raw.image, "python3", "-c", "print(1)"]


def run(command: list[str]) -> None:
    """Run a process to its end, which must be a good one."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
