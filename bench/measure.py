"""Paired measurement: two ways of the same job in turn, so that a drifting machine touches both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One line of the result table.

    ``ours`` is in ``unit``. With a ``reference`` measured in the same run the bound is on the ratio ours/reference,
    without one on ours itself. ``most`` means that the bound is an upper one.
    """

    name: str
    ours: float
    unit: str
    bound: float
    reference: float | None = None
    side: Literal["most", "least"] = "most"

    @property
    def judged(self) -> float:
        """Return what the bound is on."""
        return self.ours if self.reference is None else self.ours / self.reference

    @property
    def met(self) -> bool:
        """Tell whether the bound holds."""
        return self.judged <= self.bound if self.side == "most" else self.judged >= self.bound


def timed(job: Callable[[], object]) -> float:
    """Return the milliseconds that one call takes."""
    started = time.perf_counter()
    job()
    return (time.perf_counter() - started) * 1000


def paired(ours: Callable[[], float], reference: Callable[[], float], runs: int) -> tuple[float, float]:
    """Return the medians of two measurements taken in turn, after one round that is not counted."""
    ours()
    reference()
    pairs = [(ours(), reference()) for _ in range(runs)]
    return statistics.median(mine for mine, _ in pairs), statistics.median(theirs for _, theirs in pairs)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` (0 to 1) of the values lie."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]
