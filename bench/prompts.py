"""What a person at the terminal waits for: the prompt of a chat, and the first words of an answer."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Figure, timed
from bench.raw import RawEngine
from tests.support.openai_server import OpenAIServer, say
from tests.support.terminal import Terminal

RUNS = 9
SBI = str(Path(sys.executable).with_name("sbi"))


def figures(_: RawEngine) -> Iterator[Figure]:
    """Yield how long the prompt and the first token take to be seen."""
    with tempfile.TemporaryDirectory(prefix="sbi-bench-") as folder:
        os.environ["SBI_DATA_DIR"], os.environ["SBI_CONFIG_DIR"] = f"{folder}/data", f"{folder}/config"
        times = [timed(lambda: _until_prompt(folder)) for _ in range(RUNS)]
        yield Figure("prompt of sbi chat", statistics.median(times), "ms", 400)
        yield Figure("first token on the screen, behind its arrival", _first_token(folder), "ms", 50)


def _until_prompt(folder: str) -> None:
    with Terminal([SBI, "chat", "-m", "demo"], columns=100, cwd=folder) as terminal:
        terminal.wait_for(lambda: terminal.screen[terminal.cursor_row].startswith(">"))


def _first_token(folder: str) -> float:
    """Return the median of the milliseconds between a server's first word and its sight."""
    gates = [threading.Event() for _ in range(RUNS)]
    replies = [say("Hello", "number", str(number)).held(gate, b'"Hello"') for number, gate in enumerate(gates)]
    times = []
    with OpenAIServer(*replies) as server, Terminal(
            [SBI, "chat", "-m", "openai/scripted", "--api-base", server.url, "--api-key", "none"], columns=100,
            cwd=folder) as terminal:
        for number, gate in enumerate(gates):
            terminal.wait_for(lambda: terminal.screen[terminal.cursor_row].startswith(">"), 60)
            terminal.send("go\n")
            terminal.wait_for(lambda number=number: len(server.requests) > number, 60)  # type: ignore[misc]  # a default
            terminal.watch(0.3)
            gate.set()
            begun = time.perf_counter()
            terminal.wait_for(f"Hellonumber{number}")
            times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)
