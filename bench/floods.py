"""Ctrl-C in the midst of more output than anybody reads, as a person presses it: at a terminal of their own."""

from __future__ import annotations

import contextlib
import os
import pty
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Figure
from bench.raw import RawEngine

RUNS = 11
SECONDS = 0.5
"""How long the flood is read before the key; it would go on for minutes."""
FLOOD = "head -c 10G /dev/zero | tr '\\0' 'x'"
SBI = str(Path(sys.executable).with_name("sbi"))


def figures(_: RawEngine) -> Iterator[Figure]:
    """Yield how long the shell's prompt takes to be back after the key."""
    times = [_stopped() for _ in range(RUNS)]
    yield Figure("Ctrl-C in a 10 GB flood on a terminal, to the end of sbi run: median", statistics.median(times), "ms",
                 200)
    yield Figure("Ctrl-C in a 10 GB flood on a terminal, to the end of sbi run: worst", max(times), "ms", 200)


def _stopped() -> float:
    """Return the milliseconds from the key to the end of the process."""
    process, terminal = pty.fork()
    if process == 0:
        os.execv(SBI, [SBI, "run", "-l", "shell", "-c", FLOOD])
    read = os.read(terminal, 1 << 16)
    assert read.startswith(b"xxx"), read
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        os.read(terminal, 1 << 16)
    pressed = time.perf_counter()
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # as Linux says that nobody has the terminal open any more
        while os.read(terminal, 1 << 16):
            pass
    _, status = os.waitpid(process, 0)
    took = time.perf_counter() - pressed
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    return took * 1000
