"""What is to be copied where, from a look at both sides of a workspace that is a copy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from sandbox_interpreter.sandbox.known import Known, Pair
from sandbox_interpreter.sandbox.tidings import Tidings
from sandbox_interpreter.sandbox.tree import Entry


class Pull(NamedTuple):
    """A file to copy out: to ``target``, which has the mark ``expected`` now ("" for none).

    ``disputed``: it was changed on both sides.
    """

    name: str
    target: str
    expected: str
    mark: str
    size: int
    executable: bool
    disputed: bool = False


@dataclass
class Plan:
    """Names to copy in, files to copy out, and folders to make here, with their marks there."""

    puts: list[str] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)


def make(here: dict[str, Entry], there: dict[str, Entry], known: Known, tidings: Tidings) -> Plan:
    """Return what is to be done; ``tidings`` is told what is not, and ``known`` what needs nothing."""
    plan = Plan()
    for name in sorted({*here, *there, *known}):
        mine, theirs, pair = here.get(name), there.get(name), known[name]
        beside = known.beside(name, here)
        if not mine and not theirs:
            known.forget(name)
        if theirs and theirs.mark != pair.there and (beside or not mine or mine.mark == pair.here):
            _out(plan, name, theirs, here, beside, known, tidings)
        elif theirs and theirs.mark != pair.there and mine:
            _both(plan, name, mine, theirs, known, tidings)
        elif mine and mine.mark != pair.here and not beside:
            _in(plan, name, mine, known, tidings)
        elif not theirs and mine and pair.there:
            tidings.kept(name)
            known[name] = Pair(mine.mark, "")
        elif not mine and theirs and pair.here:
            known[name] = Pair("", theirs.mark)
    return plan


def _in(plan: Plan, name: str, mine: Entry, known: Known, tidings: Tidings) -> None:
    if mine.kind in "fdl":
        plan.puts.append(name)
    else:
        tidings.failed_in(name, "no file" if mine.kind == "o" else "it cannot be read")
        known[name] = Pair(mine.mark, known[name].there)


def _out(plan: Plan, name: str, theirs: Entry, here: dict[str, Entry], beside: str, known: Known,
         tidings: Tidings) -> None:
    target = beside or name
    mine = here.get(target)
    if theirs.kind == "f" and (mine is None or mine.kind != "d"):
        disputed = bool(beside) and mine is not None and mine.mark != known[beside].here
        plan.pulls.append(_pull(name, theirs, target, mine, disputed=disputed))
    elif theirs.kind == "d" and mine is None:
        plan.folders[name] = theirs.mark
    else:
        if not (mine and mine.kind == theirs.kind == "d"):
            tidings.left(name, theirs.kind)
        known[name] = Pair(here[name].mark if name in here else "", theirs.mark)


def _both(plan: Plan, name: str, mine: Entry, theirs: Entry, known: Known, tidings: Tidings) -> None:
    if theirs.kind == "f":
        plan.pulls.append(_pull(name, theirs, name, mine, disputed=True))
        return
    if not mine.kind == theirs.kind == "d":
        tidings.left(name, theirs.kind)
    known[name] = Pair(mine.mark, theirs.mark)


def _pull(name: str, theirs: Entry, target: str, mine: Entry | None, *, disputed: bool) -> Pull:
    return Pull(name, target, mine.mark if mine else "", theirs.mark, theirs.size, bool(theirs.mode & 0o100), disputed)
