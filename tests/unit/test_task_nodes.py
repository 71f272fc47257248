"""A task whose node is lost: how often it begins anew, and what is told of that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import NodeLost
from sandbox_interpreter.sandbox.outputs import ExecResult, Output, Stream
from sandbox_interpreter.tasks.place import Switch, settings_of
from sandbox_interpreter.tasks.record import Task
from sandbox_interpreter.tasks.tries import Folders, Tries

GONE = NodeLost("The node 10.0.0.1 was lost: it is dead.", node="10.0.0.1")


class Ran:
    """Stands for a run that printed and ended."""

    def __init__(self, code: int) -> None:
        self.result = ExecResult(code, 1.0)

    def __iter__(self) -> Iterator[Output]:
        yield Stream("stdout", b"there\n")

    def close(self) -> None:
        """Be over."""


class Nodes:
    """Stands for the places of a cluster: each sandbox in turn ends as the script says: a code, or the error."""

    node = "10.0.0.2"

    def __init__(self, *script: int | NodeLost) -> None:
        self.script = list(script)

    @contextmanager
    def lend(self, *_: object) -> Iterator[Nodes]:
        yield self

    def execute(self, *_: object, **__: object) -> Ran:
        came = self.script.pop(0)
        if isinstance(came, NodeLost):
            raise came
        return Ran(came)


@pytest.mark.parametrize(("script", "retries", "status", "attempts", "lost"), [
    ([0], 0, "passed", 1, 0),
    ([GONE, 0], 0, "passed", 1, 1),
    ([GONE, 3, GONE, 0], 1, "passed", 2, 2),
    ([GONE, 3], 0, "failed", 1, 1),
    ([GONE, GONE, GONE], 0, "error", 1, 3),
    ([3, GONE, GONE, GONE], 5, "error", 2, 3),
])
def test_it_begins_anew_so_often_and_no_more_whatever_its_retries(tmp_path: Path, script: list[Any], retries: int,
                                                                  status: str, attempts: int, lost: int) -> None:
    task = Task("one", tmp_path / "one.yaml", code="print('there')", retries=retries)
    nodes = Nodes(*script)
    tries = Tries(task, settings_of(task, Settings()), Folders(out=tmp_path / "out"), Switch(), most_lost=2)
    result = tries.run(nodes)  # type: ignore[arg-type]  # a stand-in
    assert (result.status, result.attempts, result.lost) == (status, attempts, ("10.0.0.1",) * lost)
    assert not nodes.script
    if status == "error":
        assert (result.node, result.reason) == ("10.0.0.1", GONE.report())
    else:
        assert (result.node, result.output) == ("10.0.0.2", "there\n")  # nothing of a try that was lost
    events = [json.loads(line) for line in (tmp_path / "out/one/events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events].count("node_lost") == lost
