"""What a node says is judged once more by its driver; a sandbox whose node is gone is lost, and closes in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.cluster.orders import Facts, Piece, Taken
from sandbox_interpreter.cluster.sandbox import ClusterSandbox
from sandbox_interpreter.cluster.shelf import Shelf
from sandbox_interpreter.errors import EngineError, EngineUnreachable, NodeLost, SandboxClosed, TransferError
from sandbox_interpreter.sandbox.gate import Decision
from sandbox_interpreter.sandbox.outputs import ExecResult, Stream
from sandbox_interpreter.version import VERSION


class Told:
    """Stands for a slot on a node: answers from a script, or raises what is in it, and keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[Any, ...]] = []

    def ask(self, method: str, *arguments: Any) -> Any:
        name = arguments[1] if method == "call" else method
        self.asked.append((name, *arguments[2:]))
        answer = self.answers.get(name)
        if isinstance(answer, list) and name in ("take", "more"):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def facts(self) -> Facts:
        return Facts("n1", "10.0.0.1", VERSION, "3")


class Ends:
    """Stands for the slots: keeps what became of one."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []

    def give_back(self, _: object) -> None:
        self.ended.append(("given back", ""))

    def drop(self, _: object, why: str = "") -> None:
        self.ended.append(("dropped", why))


def box_on(node: Told, ends: Ends | None = None, record: Callable[[Decision], object] | None = None) -> ClusterSandbox:
    return ClusterSandbox(ends or Ends(), Shelf(), node, 1, record=record,  # type: ignore[arg-type]  # stand-ins
                          notify=lambda _: None)


@pytest.mark.parametrize("name", ["../out", "/etc/passwd", "a/../../b", "a\0b", ""])
def test_a_name_that_leads_outside_is_refused_on_the_driver_too(tmp_path: Path, name: str) -> None:
    node = Told(files=["fine.txt", name], read=Piece(b"x"))
    with pytest.raises(TransferError):
        box_on(node).download("**", tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] in ([], ["out"])


def test_a_name_that_nobody_asked_for_is_not_written(tmp_path: Path) -> None:
    node = Told(files=["a.csv", "b.exe"], read=Piece(b"1", 7), more=[Piece(b"2", 7), Piece(b"3")])
    assert box_on(node).download("*.csv", tmp_path) == [tmp_path / "a.csv"]
    assert (tmp_path / "a.csv").read_bytes() == b"123"


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path)
    with pytest.raises(TransferError):
        box_on(Told(files=["sub/x"], read=Piece(b"x"))).download("**", tmp_path / "out")
    assert not (tmp_path / "x").exists()


def test_outputs_decisions_and_the_result_come_as_the_node_tells_them() -> None:
    told: list[Decision] = []
    decision = Decision("example.com", 443, allowed=True, rule="listed")
    done = ExecResult(3, 1.0)
    node = Told(execute=5, take=[Taken((Stream("stdout", b"a"),), None, (decision,)), Taken(), Taken((), done)])
    run = box_on(node, record=told.append).execute("shell", "x")
    with pytest.raises(RuntimeError, match="has not ended"):
        _ = run.result
    assert [*run] == [Stream("stdout", b"a")]
    assert (run.result, told) == (done, [decision])
    run.close()
    run.interrupt()
    assert [name for name, *_ in node.asked] == ["execute", "take", "take", "take"]


@pytest.mark.parametrize(("error", "ended"), [
    (NodeLost("gone", node="10.0.0.1"), ("dropped", "")),
    (EngineUnreachable("No engine."), ("dropped", "No engine.")),
])
def test_a_sandbox_whose_node_or_engine_is_gone_is_lost_and_closes_in_silence(error: Exception,
                                                                             ended: tuple[str, str]) -> None:
    ends = Ends()
    box = box_on(Told(files=error), ends)
    with pytest.raises(NodeLost) as caught:
        box.files("*")
    assert caught.value.node == "10.0.0.1"
    box.close()
    assert ends.ended == [ended]
    with pytest.raises(SandboxClosed):
        box.start()


def test_a_closed_sandbox_gives_its_slot_back_once_and_one_that_fails_to_close_ends_it() -> None:
    ends = Ends()
    with box_on(Told(), ends) as box:
        box.close(wait=False)
    assert ends.ended == [("given back", "")]
    ends = Ends()
    box_on(Told(close=EngineError("stuck")), ends).close()
    assert ends.ended == [("dropped", "")]
