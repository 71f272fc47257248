"""Many sandboxes open at once in one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from bench.measure import Figure
from bench.raw import RawEngine
from bench.streams import resident
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.sandbox import Sandbox

MANY = 50


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield the memory that each idle sandbox beyond the first costs this process."""
    with ExitStack() as stack:
        first = stack.enter_context(Sandbox(engine=raw.engine))
        list(first.execute("python", "1"))
        before = resident()
        boxes = [stack.enter_context(Sandbox(engine=raw.engine)) for _ in range(MANY - 1)]
        for box in boxes:
            list(box.execute("python", "1"))
        yield Figure("host memory per idle open sandbox", (resident() - before) / len(boxes), "MB", 2)
        answers = sum(1 for box in [first, *boxes] if list(box.execute("python", "print(1)")))
        yield Figure(f"sandboxes of {MANY} that answer, all open at once", answers, "", MANY, side="least")
    left = [each for each in raw.engine.list({LABEL: ""}) if each.labels.get(f"{LABEL}.session") in
            {box.session for box in [first, *boxes]}]
    yield Figure("containers left behind", len(left), "", 0)
