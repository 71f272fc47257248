"""A kernel that has run ten thousand cells is no larger than it was.

What is compared is what is in use after the language's own collector has run, as it counts that itself (V8, R), or else
the private memory of every process in the sandbox (Python, Ruby, bash, SQLite), whose allocators give back what is
free.
"""

from __future__ import annotations

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from tests.support.dialects import DIALECTS, Dialect
from tests.support.runs import run

WARM_UP = 1000
"""Cells before the first look: pools, caches and just-in-time compilers have filled by then."""
CELLS = 10_000
MOST_GROWTH = 3072
"""KiB that may be in use more than before, 300 bytes for each cell: V8 keeps the scope of every script that declares
something with ``let``, some 180 bytes, as long as the realm lives, for later scripts see it."""
MOST_SLACK = 128 * 1024
"""KiB of private memory that may be held more than before, used or not: what a collector keeps for the next wave. The
young generation of V8 alone grows to 48 MiB, and the old one by steps."""

# Memory that is a process's alone and no file's, of every process but the one that looks.
_MEMORY = "for each in /proc/[0-9]*; do [ $each = /proc/$$ ] || cat $each/status; done 2>/dev/null"


@pytest.mark.timeout(900)  # ten thousand round trips, on a machine that may be busy with other things
@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_ten_thousand_cells_leave_nothing_behind(engine: DockerEngine, dialect: Dialect) -> None:
    with Sandbox(dialect.image, engine=engine) as box:
        repeat(box, dialect, WARM_UP)
        before = in_use(box, dialect), held(box)
        repeat(box, dialect, CELLS)
        after = in_use(box, dialect), held(box)
        assert after[0] - before[0] < MOST_GROWTH
        assert after[1] - before[1] < MOST_SLACK


def repeat(box: Sandbox, dialect: Dialect, times: int) -> None:
    for _ in range(times):
        assert run(box, dialect.language, dialect.many).result.exit_code == 0


def in_use(box: Sandbox, dialect: Dialect) -> int:
    """Return the KiB in use once the language's own collector has run: as that counts them, else all that is held."""
    for _ in range(3):  # what a first run finalises, a later one frees
        counted = run(box, dialect.language, dialect.collect).stdout
    return int(counted) if counted.strip().isdigit() else held(box)


def held(box: Sandbox) -> int:
    """Return the KiB of private memory of all processes of the sandbox."""
    return sum(int(line.split()[1]) for line in run(box, "shell", _MEMORY, script=Script("memory")).stdout.splitlines()
               if line.startswith("RssAnon"))
