"""The slots of one driver: actors on nodes, each with room for one sandbox, used again by whoever needs as much.

A slot is a process on a node, and starting one takes Ray longer than an engine takes for a container. So a slot stays
while there may be use for it, and every sandbox in it is a fresh one all the same. Ray places slots by the processors
and the memory that a policy allows, and by the resource ``sbi``.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sandbox_interpreter.cluster import rays
from sandbox_interpreter.cluster.orders import Facts
from sandbox_interpreter.cluster.slot import Slot
from sandbox_interpreter.errors import EngineError, SandboxClosed, SandboxInterpreterError
from sandbox_interpreter.version import VERSION

PATIENCE = 60.0
"""Seconds for which a sandbox waits that no node of the cluster could hold: one that can may be on its way."""
IDLE = 20.0
"""Seconds that a slot is kept which nobody needs: what it holds is missing to other drivers of the cluster."""
_TICK = 0.25
_LOOK = 2.0
"""Seconds between two looks at which nodes there are."""
_LEAVING_SECONDS = 10.0
"""Seconds that slots have to end what is in them before they are killed; then their nodes clear up by themselves."""


@dataclass(frozen=True)
class Demand:
    """What a sandbox needs of a node: processors, and bytes of memory."""

    cpus: float
    memory: int


@dataclass(frozen=True, eq=False)
class Held:
    """A slot that is one sandbox's for now."""

    actor: Any
    demand: Demand
    facts: Facts

    def ask(self, method: str, *arguments: Any) -> Any:
        """Return what the slot answers. Raises its errors; NodeLost if it is gone."""
        return rays.ask(getattr(self.actor, method).remote(*arguments), self.facts.address)


class _Idle(NamedTuple):
    """A slot that nobody holds, and since when."""

    held: Held
    since: float


@dataclass
class Slots:
    """Hands out slots. Thread-safe. ``notify`` is told of nodes that are left out, and of waiting that may be in vain.

    ``patience`` and ``idle`` are in seconds.
    """

    notify: Callable[[str], object]
    patience: float = PATIENCE
    idle: float = IDLE
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _idle: dict[Demand, deque[_Idle]] = field(default_factory=lambda: defaultdict(deque))
    _failed: dict[Demand, deque[SandboxInterpreterError]] = field(default_factory=lambda: defaultdict(deque))
    _waiting: Counter[Demand] = field(default_factory=Counter)
    _starting: Counter[Demand] = field(default_factory=Counter)
    _actors: dict[Any, None] = field(default_factory=dict)
    _left_out: dict[str, str] = field(default_factory=dict)
    _closed: bool = False
    _sweeper: threading.Timer | None = None
    _told: set[Demand] = field(default_factory=set)

    def take(self, demand: Demand, check: Callable[[], object]) -> Held:
        """Return a slot, once a node has room; ``check`` is called meanwhile, and raises what ends the waiting.

        Raises EngineError where no node can have it, NodeLost if one was lost while the slot began there.
        """
        begun, looked = time.monotonic(), 0.0
        with self._changed:
            self._waiting[demand] += 1
        try:
            while True:
                with self._changed:
                    if held := self._found(demand):
                        return held
                    self._changed.wait(_TICK)
                check()
                waited = time.monotonic() - begun
                if waited - looked >= min(self.patience, _LOOK):
                    looked = waited
                    self._judge(demand, waited)
        finally:
            with self._changed:
                self._waiting[demand] -= 1

    def give_back(self, held: Held) -> None:
        """Take back a slot whose sandbox was closed."""
        with self._changed:
            others = sum(self._waiting.values()) - self._waiting[held.demand]
            keep = not self._closed and (self._waiting[held.demand] or not others)
            if keep:
                self._idle[held.demand].append(_Idle(held, time.monotonic()))
                self._sweep_later()
                self._changed.notify_all()
        if not keep:
            self._end(held)

    def drop(self, held: Held, why: str = "") -> None:
        """End a slot that is lost; ``why`` its node can have no sandboxes, if that is so."""
        if why:
            self._leave_out(held.facts, why)
        self._forget(held.actor)

    def close(self) -> None:
        """End all slots; harmless when repeated."""
        with self._changed:
            self._closed = True
            idle = [each.held for kept in self._idle.values() for each in kept]
            self._idle.clear()
            if self._sweeper:
                self._sweeper.cancel()
            self._changed.notify_all()
        leaving = [threading.Thread(target=self._end, args=(held,), daemon=True) for held in idle]
        for each in leaving:
            each.start()
        give_up = time.monotonic() + _LEAVING_SECONDS
        for each in leaving:
            each.join(max(give_up - time.monotonic(), 0))
        for actor in list(self._actors):
            self._forget(actor)

    # --- taking ---

    def _found(self, demand: Demand) -> Held | None:
        """Return a slot that is free; otherwise see to it that one begins. Called with the lock held."""
        if self._closed:
            raise SandboxClosed("The cluster was closed.", next_step="Make a new one.")
        if self._failed[demand]:
            raise self._failed[demand].popleft()
        if self._idle[demand]:
            return self._idle[demand].pop().held
        for other, idle in self._idle.items():  # what they hold may be what is missing
            while idle and not self._waiting[other]:
                self._end_soon(idle.popleft().held)
        if self._starting[demand] < self._waiting[demand]:
            self._starting[demand] += 1
            threading.Thread(target=self._start, args=(demand,), name="sbi-slot", daemon=True).start()
        return None

    def _judge(self, demand: Demand, waited: float) -> None:
        """Raise EngineError if no node that is there could ever hold it, and none has come for long enough."""
        wanted = rays.needs(demand.cpus, demand.memory)
        fitting = [node for node in rays.nodes() if node.fits(wanted)]
        if fitting and all(node.node in self._left_out for node in fitting):
            raise EngineError("No node of the cluster can have a sandbox: " + "; ".join(self._left_out.values()),
                              next_step="Look at every node: sbi cluster doctor auto")
        if not fitting and demand not in self._told:
            self._told.add(demand)
            self.notify(f"No node of the cluster has {_said(wanted)}; one is waited for, {self.patience:g} s long.")
        if not fitting and waited >= self.patience:
            raise EngineError(f"No node of the cluster has {_said(wanted)}.",
                              next_step="Ask for less, with --cpus and --memory; or add a node, and tell Ray of its "
                                        "engine: ray start --resources='{\"sbi\": 4}'")

    # --- slots that begin and end ---

    def _start(self, demand: Demand) -> None:
        """Begin a slot, and offer it to whoever waits, in a thread of its own."""
        try:
            with self._changed:
                besides = tuple(self._left_out)
            actor = rays.start(Slot, cpus=demand.cpus, memory=demand.memory, besides=besides)
            self._actors[actor] = None
            facts: Facts = rays.ask(actor.facts.remote(), "")
            held = Held(actor, demand, facts)
            if why := _unfit(facts):
                self.drop(held, why)
            else:
                self.give_back(held)
        except SandboxInterpreterError as error:
            with self._changed:
                self._failed[demand].append(error)
        finally:
            with self._changed:
                self._starting[demand] -= 1
                self._changed.notify_all()

    def _sweep_later(self) -> None:
        """See to it that slots are ended which nobody takes. Called with the lock held."""
        if self._sweeper is None and not self._closed:
            self._sweeper = threading.Timer(self.idle, self._sweep)
            self._sweeper.name, self._sweeper.daemon = "sbi-slot-sweep", True
            self._sweeper.start()

    def _sweep(self) -> None:
        with self._changed:
            self._sweeper = None
            old = time.monotonic() - self.idle
            for idle in self._idle.values():  # the one that was used last is taken first, so the first is the oldest
                while idle and idle[0].since <= old:
                    self._end_soon(idle.popleft().held)
            if any(self._idle.values()):
                self._sweep_later()

    def _end_soon(self, held: Held) -> None:
        threading.Thread(target=self._end, args=(held,), name="sbi-slot-end", daemon=True).start()

    def _leave_out(self, facts: Facts, why: str) -> None:
        with self._changed:
            known = facts.node in self._left_out
            self._left_out[facts.node] = f"{facts.address}: {why}"
        if not known:
            self.notify(f"The node {facts.address} gets no more sandboxes: {why}")

    def _end(self, held: Held) -> None:
        with suppress(SandboxInterpreterError):
            held.ask("leave")
        self._forget(held.actor)

    def _forget(self, actor: Any) -> None:
        self._actors.pop(actor, None)
        with suppress(Exception):  # whatever Ray says of an actor that may be gone, with its cluster
            rays.end(actor)


def _unfit(facts: Facts) -> str:
    """Return why a node can have no sandbox of ours; "" if it can."""
    if facts.sbi != VERSION:
        return f"it has sandbox-interpreter {facts.sbi}, and here is {VERSION}."
    return facts.problem


def _said(wanted: dict[str, float]) -> str:
    """Return resources as people read them."""
    words = {"CPU": "{:g} processors", "memory": "{:.0f} MiB of memory", rays.RESOURCE: "the resource sbi"}
    return " and ".join(words[name].format(amount / 2**20 if name == "memory" else amount)
                        for name, amount in wanted.items())
