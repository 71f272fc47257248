"""Sandboxes whose agents are scripts that may break every rule, with a grace and an overtime of some milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.sandbox import deadline
from sandbox_interpreter.sandbox.outputs import Output
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.agents import Answer, agent
from tests.support.runs import run

Open = Callable[..., Sandbox]


@contextmanager
def scripted_boxes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Give a function that makes such a sandbox, whose agent answers frames as told; all are closed afterwards."""
    monkeypatch.setattr(deadline, "OVERTIME_SECONDS", 0.1)
    boxes: list[Sandbox] = []

    def make(policy: Policy | None = None, **answers: Answer) -> Sandbox:
        boxes.append(Sandbox(engine=ScriptedEngine(agent(**answers)), policy=policy or Policy(grace=0.02),
                             notify=lambda _: None))
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


def outputs_of(box: Sandbox) -> list[Output]:
    """Return what a run in it says."""
    return run(box, "python", "1").outputs
