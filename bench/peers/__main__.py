"""Run the same three jobs with every system; the table goes to bench/RESULTS.md: python -m bench.peers [NAME...]."""

from __future__ import annotations

import statistics
import sys
from contextlib import closing
from pathlib import Path

from bench.peers import containers
from bench.peers.drive import Driver
from bench.peers.environments import Unavailable, python_of
from bench.peers.roster import OURS, PEERS, Peer
from bench.results import keep, machine
from sandbox_interpreter.engines.docker import DockerEngine

MOST_FAILED = 3
"""Rounds that may fail before a system is given up."""
ROUNDS = 7
"""Of each, in turn, so that a drifting machine touches all alike; one more before them is not counted."""
RESULTS = Path(__file__).parents[1] / "RESULTS.md"
ABOUT = (
    "One new sandbox that prints 1, the same once more in it, and its close: medians. Every system runs in the set-up",
    "that its documentation recommends, and with its fast settings where it has them, on the same engine and on an",
    "image made from the bundled `python` one.")
JOBS = ("cold", "cell", "close")
COLUMNS = ("system", "version", "set-up", "print(1) from nothing", "x ours", "once more", "x ours", "close", "x ours",
           "variables stay", "failed rounds", "left behind")


class Contest:
    """All who take part. ``missing`` names who does not, and why."""

    def __init__(self, engine: DockerEngine, peers: list[Peer]) -> None:
        self._engine = engine
        self._drivers: dict[Peer, Driver] = {}
        self._rounds: dict[Peer, list[dict[str, float]]] = {}
        self._keeps: dict[Peer, bool] = {}
        self._failed = dict.fromkeys(peers, 0)
        self.missing: dict[Peer, str] = {}
        for peer in peers:
            self._begin(peer)

    def _begin(self, peer: Peer) -> None:
        containers.remove_left(peer, self._engine)
        try:
            driver = Driver(peer, python_of(peer), containers.image_of(peer, self._engine.images()))
        except Unavailable as reason:
            self.missing[peer] = str(reason)
            return
        self._drivers[peer] = driver
        self._rounds[peer] = []

    def run(self) -> None:
        """Run all rounds of all."""
        for number in range(ROUNDS + 1):
            for peer in list(self._drivers):
                print(f"Round {number} of {ROUNDS}: {peer.name}, {peer.set_up}", file=sys.stderr, flush=True)
                try:
                    self._round(peer, is_counted=number > 0)
                except Unavailable as reason:
                    self._give_up(peer, str(reason))

    def _round(self, peer: Peer, *, is_counted: bool) -> None:
        """Let a peer have its turn, until it has got through it. Raises Unavailable."""
        while True:
            answer = self._drivers[peer].ask("round" if is_counted else "state")
            if "error" not in answer:
                break
            self._failed[peer] += 1
            print(answer["error"], file=sys.stderr, flush=True)
            if self._failed[peer] > MOST_FAILED:
                raise Unavailable(f"{self._failed[peer]} rounds failed, the last with {answer['error'][:300]}")
        if is_counted:
            self._rounds[peer].append(answer)
        else:  # the first of each also loads what it needs
            self._keeps[peer] = answer["keeps"]

    def _give_up(self, peer: Peer, reason: str) -> None:
        self.missing[peer] = reason
        self._drivers.pop(peer).end()
        containers.remove_left(peer, self._engine)

    def table(self) -> list[str]:
        """Return the lines of the table, once all have come to their end."""
        medians = {peer: {job: statistics.median(each[job] for each in rounds) for job in JOBS}
                   for peer, rounds in self._rounds.items() if peer in self._drivers}
        lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
        for peer, driver in self._drivers.items():
            driver.end()
            times = [f"{medians[peer][job]:.1f} ms | {_ratio(medians[peer][job], medians[OURS][job], peer)}"
                     for job in JOBS]
            left = containers.remove_left(peer, self._engine)
            lines.append(f"| {peer.name} | {driver.version} | {peer.set_up} | {' | '.join(times)} "
                         f"| {'yes' if self._keeps[peer] else 'no'} | {self._failed[peer]} | {left} |")
        if self.missing:
            lines += ["", "Not run:", "",
                      *(f"- {peer.name}, {peer.set_up}: {reason}" for peer, reason in self.missing.items())]
        return lines

    def close(self) -> None:
        """End every driver, and what they leave behind."""
        for peer, driver in self._drivers.items():
            driver.end()
            containers.remove_left(peer, self._engine)


def _ratio(theirs: float, ours: float, peer: Peer) -> str:
    return "" if peer is OURS else f"{theirs / ours:.1f}"


def main() -> None:
    """Measure all, or ours and those named; only a whole table is kept."""
    names = sys.argv[1:]
    if unknown := set(names) - {peer.name for peer in PEERS}:
        known = ", ".join(dict.fromkeys(peer.name for peer in PEERS))
        sys.exit(f"Unknown system {', '.join(sorted(unknown))}. There are: {known}.")
    peers = [peer for peer in PEERS if not names or peer is OURS or peer.name in names]
    with closing(DockerEngine()) as engine:
        contest = Contest(engine, peers)
        try:
            if OURS in contest.missing:
                sys.exit(f"There is nothing to compare with: {contest.missing[OURS]}.")
            contest.run()
            lines = [f"## peers on {machine(engine)}", "", *ABOUT, "", *contest.table()]
        finally:
            contest.close()
    print("\n".join(lines))
    if not names:
        keep(lines, RESULTS)


if __name__ == "__main__":
    main()
