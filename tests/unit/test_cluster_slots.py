"""A slot is used again, ended or given up in time, and what no node can hold is refused with the reason."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sandbox_interpreter.cluster import rays, slots
from sandbox_interpreter.cluster.orders import Facts
from sandbox_interpreter.cluster.slots import Demand, Held, Slots
from sandbox_interpreter.errors import EngineError, NodeLost, SandboxClosed, UsageError
from sandbox_interpreter.version import VERSION

SMALL = Demand(1.0, 2**28)
LARGE = Demand(4.0, 2**30)


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
