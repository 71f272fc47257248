"""What a driver does with the nodes of a cluster, without one: what it believes of them, and to whom it gives slots."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.cluster import rays, slots
from sandbox_interpreter.cluster.orders import INLINE, Facts, Piece, Taken, opened, sealed
from sandbox_interpreter.cluster.relay import MOST_KEPT, Relay
from sandbox_interpreter.cluster.sandbox import ClusterSandbox
from sandbox_interpreter.cluster.shelf import Shelf
from sandbox_interpreter.cluster.slot import Slot
from sandbox_interpreter.cluster.slots import Demand, Held, Slots
from sandbox_interpreter.errors import (
    EngineError,
    EngineUnreachable,
    NodeLost,
    SandboxClosed,
    TransferError,
    UsageError,
)
from sandbox_interpreter.sandbox.gate import Decision
from sandbox_interpreter.sandbox.outputs import ExecResult, Output, Stream
from sandbox_interpreter.version import VERSION

SMALL = Demand(1.0, 2**28)
LARGE = Demand(4.0, 2**30)


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


# --- what a node says is judged once more ---


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


# --- what goes there ---


def test_an_environment_travels_in_pieces_that_stay_out_of_the_object_store() -> None:
    secrets = {"A": "ü" * 100_000, "B": "b"}
    pieces = sealed({"C": "c"}, secrets)
    assert opened(pieces) == {"env": {"C": "c"}, "secrets": secrets}
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= INLINE


def test_a_file_is_put_once_for_many_tasks_and_anew_when_it_has_changed(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[bytes] = []

    def keep(data: bytes) -> int:
        put.append(data)
        return len(put)

    monkeypatch.setattr(rays, "put", keep)
    shelf = Shelf()
    file = tmp_path / "in"

    def pieces() -> Any:
        with file.open("rb") as opened_file:
            return shelf.pieces(opened_file)

    file.write_bytes(b"x" * (INLINE - 1))
    assert pieces() == [file.read_bytes()]
    file.write_bytes(os.urandom(INLINE * 3))
    first = pieces()
    assert first == [file.read_bytes()[:INLINE], 1]
    assert pieces() is first
    assert len(put) == 1
    file.write_bytes(os.urandom(INLINE * 3 + 1))
    assert pieces() == [file.read_bytes()[:INLINE], 2]
    assert shelf.pieces(io.BytesIO(b"y" * INLINE)) == [b"y" * INLINE]
    assert b"".join(put) == put[0] + put[1]


def test_a_slot_answers_nothing_but_what_it_knows_and_no_former_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("begin", "clear_soon"):
        monkeypatch.setattr(f"sandbox_interpreter.cluster.watch.{name}", lambda: None)
    slot = Slot()
    for number, name in ((1, "start"), (1, "_relay"), (1, "__class__")):
        with pytest.raises(SandboxClosed):
            slot.call(number, name)


# --- a run on its node ---


class Runs:
    """Stands for a run: gives the outputs that it was made with, and stops when it is told to."""

    def __init__(self, outputs: Iterator[Output], error: Exception | None = None) -> None:
        self._outputs = outputs
        self._error = error
        self.stopped = threading.Event()
        self.result = ExecResult(0, 1.0)

    def __iter__(self) -> Iterator[Output]:
        for output in self._outputs:
            if self.stopped.is_set():
                return
            yield output
        if self._error:
            raise self._error

    def interrupt(self, *, hard: bool = False) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.stopped.set()


def flood() -> Iterator[Output]:
    while True:
        yield Stream("stdout", b"x" * 1024)


def test_a_relay_keeps_a_bounded_part_of_a_flood_and_lets_it_go() -> None:
    relay = Relay(Runs(flood()))
    taken = relay.take(10)
    assert taken.outputs
    assert sum(len(each.data) for each in taken.outputs if isinstance(each, Stream)) <= MOST_KEPT
    relay.abandon()
    assert relay.take(10).result == ExecResult(0, 1.0)


def test_a_relay_tells_outputs_before_the_error_that_ended_them() -> None:
    relay = Relay(Runs(iter([Stream("stdout", b"a")]), EngineUnreachable("gone")))
    assert relay.take(10).outputs == (Stream("stdout", b"a"),)
    with pytest.raises(EngineUnreachable):
        relay.take(10)


# --- slots ---


class Nodes:
    """Stands for Ray: nodes, actors that begin when they are let, and the facts that these tell."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[tuple[float, tuple[str, ...]]] = []
        self.ended: list[object] = []
        self.made: list[Slots] = []
        self.never = threading.Event()
        self.facts: list[Facts | Exception] = []
        self.there = [rays.Node("n1", "10.0.0.1", "one", {"CPU": 4.0, "memory": 2.0**30, "sbi": 4.0})]
        monkeypatch.setattr(rays, "start", self.start)
        monkeypatch.setattr(rays, "ask", lambda answer, _: answer())
        monkeypatch.setattr(rays, "end", self.ended.append)
        monkeypatch.setattr(rays, "nodes", lambda: self.there)
        monkeypatch.setattr(slots, "_TICK", 0.01)

    def slots(self, notify: Callable[[str], object], *, patience: float = slots.PATIENCE,
              idle: float = slots.IDLE) -> Slots:
        self.made.append(Slots(notify, patience, idle))
        return self.made[-1]

    def close(self) -> None:
        """Let no thread outlive the test, which would meet Ray itself."""
        self.never.set()
        for each in self.made:
            each.close()
        for thread in threading.enumerate():
            if thread.name.startswith("sbi-slot"):
                thread.join(30)

    def start(self, _: type, *, cpus: float, memory: int, besides: tuple[str, ...]) -> object:
        self.started.append((cpus, besides))
        facts = self.facts.pop(0) if self.facts else Facts("n1", "10.0.0.1", VERSION, "3")

        def answer() -> Facts:
            if isinstance(facts, Exception):
                raise facts
            if facts.node in besides:
                self.never.wait()
            return facts

        class Method:
            def __init__(self, method: Callable[[], object]) -> None:
                self.method = method

            def remote(self) -> Callable[[], object]:
                return self.method

        class Actor:
            facts = Method(answer)
            leave = Method(lambda: None)

        return Actor()


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    made = Nodes(monkeypatch)
    yield made
    made.close()


def nothing() -> None:
    """Go on waiting."""


def test_a_slot_is_used_again_and_makes_room_for_who_needs_more(nodes: Nodes) -> None:
    kept = nodes.slots(lambda _: None)
    first = kept.take(SMALL, nothing)
    kept.give_back(first)
    assert kept.take(SMALL, nothing) is first
    kept.give_back(first)
    large = kept.take(LARGE, nothing)
    assert large is not first
    assert [cpus for cpus, _ in nodes.started] == [1.0, 4.0]
    kept.give_back(large)
    kept.close()
    assert {id(actor) for actor in nodes.ended} == {id(first.actor), id(large.actor)}
    with pytest.raises(SandboxClosed):
        kept.take(SMALL, nothing)


def test_a_slot_that_nobody_needs_is_ended_after_a_while(nodes: Nodes) -> None:
    kept = nodes.slots(lambda _: None, idle=0.05)
    held = kept.take(SMALL, nothing)
    kept.give_back(held)
    give_up = time.monotonic() + 20
    while not nodes.ended and time.monotonic() < give_up:
        time.sleep(0.01)
    assert nodes.ended == [held.actor]
    assert kept.take(SMALL, nothing) is not held
    kept.close()


def test_a_node_that_cannot_have_one_is_left_out_and_the_user_is_told_once(nodes: Nodes) -> None:
    said: list[str] = []
    kept = nodes.slots(said.append, patience=0.1)
    nodes.there.append(rays.Node("n2", "10.0.0.2", "two", nodes.there[0].total))
    nodes.facts = [Facts("n2", "10.0.0.2", "0.0.1", "3")]
    held = kept.take(SMALL, nothing)
    assert held.facts.node == "n1"
    assert [besides for _, besides in nodes.started] == [(), ("n2",)]
    assert said == [("The node 10.0.0.2 gets no more sandboxes: it has sandbox-interpreter 0.0.1, and here is "
                     f"{VERSION}.")]
    kept.drop(held, "No engine.")
    with pytest.raises(EngineError, match=r"10.0.0.2: .*; 10.0.0.1: No engine."):
        kept.take(SMALL, nothing)


def test_what_no_node_can_hold_is_refused_after_a_while_and_a_wait_can_be_ended(nodes: Nodes) -> None:
    said: list[str] = []
    kept = nodes.slots(said.append, patience=0.3)
    nodes.there.clear()
    nodes.facts = [NodeLost("gone", node="10.0.0.1")]
    with pytest.raises(NodeLost):
        kept.take(SMALL, nothing)

    def enough() -> None:
        raise KeyboardInterrupt

    held = Held(object(), LARGE, Facts("n1", "10.0.0.1", VERSION, "3"))
    kept._starting[LARGE] = 5  # all of them still begin
    with pytest.raises(EngineError, match="has 4 processors and 1024 MiB of memory and the resource sbi"):
        kept.take(LARGE, nothing)
    assert said == [("No node of the cluster has 4 processors and 1024 MiB of memory and the resource sbi; one is "
                     "waited for, 0.3 s long.")]
    with pytest.raises(KeyboardInterrupt):
        kept.take(LARGE, enough)
    kept.drop(held)


def test_resources_are_what_ray_takes() -> None:
    assert rays.needs(0.5, 0) == {"CPU": 0.5, "sbi": 1.0}
    assert rays.needs(1.5, 2**30) == {"CPU": 2.0, "memory": 2.0**30, "sbi": 1.0}


def test_without_ray_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox_interpreter import Cluster

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="needs Ray") as caught:
        Cluster("auto")
    assert caught.value.next_step == "Install what it needs: pip install 'sandbox-interpreter[ray]'"


class BusyHead:
    """Stands for Ray while a head is too slow to start its server for a client, so often."""

    def __init__(self, slow: int) -> None:
        self.slow, self.ended = slow, 0

    def init(self, **_: object) -> None:
        """Connect, or say what Ray says then."""
        if self.slow > self.ended:
            raise ConnectionAbortedError("Initialization failure from server:\n")

    def shutdown(self) -> None:
        """Count the call."""
        self.ended += 1


def test_a_head_that_is_busy_is_asked_again_and_not_for_ever() -> None:
    rays._begin(head := BusyHead(2), "ray://x:1")
    assert head.ended == 2
    with pytest.raises(ConnectionAbortedError):
        rays._begin(BusyHead(3), "ray://x:1")
