"""Many sessions at work for minutes, then hundreds that come and go: errors, leaks, and what gets slower."""

from __future__ import annotations

import gc
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench.measure import Figure, percentile, timed
from bench.raw import RawEngine
from bench.streams import resident
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.owner import owner_label
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sessions import log, store

SESSIONS = 60
SECONDS = 120
EDGE = 20
"""Seconds at the start and at the end that are compared."""
IN_TURN = 300
NETWORKED = 5
"""One in so many of them has a network: a list of hosts and a bridge of its own in turn."""
WHOLE = 10
"""One in so many is a whole interpreter, with a model, a conversation and its log."""
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


@dataclass(frozen=True)
class State:
    """What there is of this process, and of the engine's where it is on this machine (else 0). Memory in MB."""

    memory: float
    descriptors: int
    threads: int
    engine_memory: float
    engine_descriptors: int

    @classmethod
    def now(cls, raw: RawEngine) -> State:
        """Return it, without what waits to be collected, and connections that are kept for the next question."""
        raw.engine.client.close()
        gc.collect()
        engine = _engine_process()
        return cls(resident(), _descriptors(Path("/proc/self")), threading.active_count(),
                   resident(engine) if engine else 0, _descriptors(engine) if engine else 0)


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield what 60 sessions with a cell a second do to each other, and what they and 300 in turn leave behind."""
    with _folders() as (temporary, data):
        with Sandbox(engine=raw.engine) as box:
            answer(box)  # what is opened once stays open
        _converse(raw, Tally(), data)
        raw.cold()
        before = State.now(raw)
        yield from _at_once(raw)
        between = State.now(raw)
        yield from _in_turn(raw, data)
        after = State.now(raw)
        yield Figure(f"host memory, after {IN_TURN} in turn against before them", after.memory, "MB", 1.1,
                     between.memory)
        yield from _left(before, after)
        yield from _left_on(raw)
        yield Figure("temporary files left behind", len(list(temporary.iterdir())), "", 0)
        whole = [not log.is_open(each.events) and not log.read(each.events).problems for each in store.every()]
        yield Figure(f"logs of {len(whole)} conversations that are open or torn", whole.count(False), "", 0)


@contextmanager
def _folders() -> Iterator[tuple[Path, Path]]:
    """Give a temporary folder for all that sandboxes put there, and one for sessions and settings."""
    names, before = ("SBI_DATA_DIR", "SBI_CONFIG_DIR"), tempfile.tempdir
    kept = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as data:
        tempfile.tempdir = folder
        os.environ |= {name: f"{data}/{name}" for name in names}
        try:
            yield Path(folder), Path(data)
        finally:
            tempfile.tempdir = before
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


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
        grown = resident()
    first, last = tally.between(0, EDGE), tally.between(SECONDS - EDGE, SECONDS)
    yield Figure(f"errors of {SESSIONS} sessions, {len(tally.cells)} cells in {SECONDS} s", len(tally.errors), "", 0)
    yield Figure("host memory, at their end against when all had begun", grown, "MB", 1.1, memory)
    # The quick ones of each: what else the machine does at that moment is in the others.
    yield Figure(f"cell, the last {EDGE} s against the first, 10th percentile", percentile(last, 0.1), "ms", 1.5,
                 percentile(first, 0.1))
    # From a second on, they would pile up.
    yield Figure(f"cell of {SESSIONS} sessions with one a second, p99", percentile(first + last, 0.99), "ms", 1000)


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


def _in_turn(raw: RawEngine, data: Path) -> Iterator[Figure]:
    tally = Tally()
    ratios: list[float] = []
    for number in range(IN_TURN):
        if number % WHOLE == 1:
            _converse(raw, tally, data)
            continue
        with Sandbox(engine=raw.engine, policy=Policy(network=_network(number))) as box:
            first = _guarded(tally, box)
        if number % NETWORKED and not COMPARED <= number < IN_TURN - COMPARED:
            ratios.append(first / raw.cold())
    half = len(ratios) // 2
    yield Figure(f"errors of {IN_TURN} sessions in turn", len(tally.errors), "", 0)
    yield Figure(f"start to first cell in raw engine's starts, the last {COMPARED} sessions against the first",
                 statistics.median(ratios[half:]), "x", 1.5, statistics.median(ratios[:half]))


def _network(number: int) -> str:
    if number % NETWORKED:
        return "none"
    return "full" if number // NETWORKED % 2 else "example.com,*.example.org:443"


def _converse(raw: RawEngine, tally: Tally, data: Path) -> None:
    """Have a whole conversation, which is kept."""
    script = data / "script.yaml"
    script.write_text(yaml.safe_dump({"turns": [{"text": "I run it.", "code": "print(20 + 2)"}, {"text": "Done."}]}))
    try:
        with Interpreter(model=f"scripted:{script}", auto_run=True) as interpreter:
            interpreter.workbench.engine = raw.engine
            said = [message["content"] for message in interpreter.chat("Add.", display=False)]
            if said[-2:] != ["22\n", "Done."]:
                tally.errors.append(f"the conversation was {said!r}")
    except SandboxInterpreterError as error:
        tally.errors.append(str(error))


def _left(before: State, after: State) -> Iterator[Figure]:
    """Yield what there is after all of it against what there was before."""
    yield Figure("descriptors left open", max(after.descriptors - before.descriptors, 0), "", 0)
    yield Figure("threads left running", max(after.threads - before.threads, 0), "", 0)
    # So many threads at once leave the allocator with an arena each; what grows beyond them is in the lines above.
    yield Figure("host memory, at the end against the start", after.memory, "MB", 2, before.memory)
    if before.engine_memory:
        # The engine's garbage collector lets its heap double before it looks.
        yield Figure("engine's memory, at the end against the start", after.engine_memory, "MB", 2,
                     before.engine_memory)
        yield Figure("engine's descriptors, at the end against the start", after.engine_descriptors, "", 1.2,
                     before.engine_descriptors)


def _left_on(raw: RawEngine) -> Iterator[Figure]:
    """Yield what of this process is left on the engine."""
    client, ours = raw.engine.client, {"label": [f"{LABEL}.owner={owner_label()}"]}
    give_up = time.monotonic() + 5
    while (containers := client.containers(all=True, filters=ours)) and time.monotonic() < give_up:
        time.sleep(0.1)  # a container that ended by itself is just being removed
    yield Figure("containers left behind", len(containers), "", 0)
    kept = len(client.volumes(filters=ours)["Volumes"] or ()) + len(client.networks(filters=ours))
    yield Figure("volumes and networks left behind", kept, "", 0)


def _descriptors(process: Path) -> int:
    return len(list((process / "fd").iterdir()))


def _engine_process() -> Path | None:
    """Return the directory of the engine's process under /proc; None where it is elsewhere, or not to be looked at."""
    try:
        process = Path("/proc") / Path("/var/run/docker.pid").read_text("ascii").strip()
        _descriptors(process)
    except OSError:
        return None
    return process
