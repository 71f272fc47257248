"""How far the disk may fill by the code of one sandbox: the setting ``disk``, held by looking.

A quota of the file system would refuse the very byte that is too much, but needs root, a file system made and mounted
for it, and marks on every file of a folder that may be the user's own. A limit of the container's own layer
(``storage-opt size``) limits nothing here, since that layer is read-only. So it is looked: how full the disk is,
which costs microseconds, and only when it has filled up since, what the code's own files take.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox_interpreter.errors import ChannelError
from sandbox_interpreter.sandbox import usage
from sandbox_interpreter.sandbox.policy import MIB
from sandbox_interpreter.sandbox.usage import Usage
from sandbox_interpreter.values import format_size

_QUIET_SECONDS = 30.0
"""Seconds after which a disk that has changed is looked at, however little: others may have made room meanwhile."""
_REST = 4.0
"""Rest after a look, by its own length, unless the disk has lost all that was still allowed."""
_SLACK = 100
"""Part of the limit that code may still write where more than allowed is there already: it must be able to delete."""
_CLOCK = 2.0
"""Seconds by which a file system's clock may be behind."""


@dataclass(frozen=True)
class Place:
    """A folder that code can fill. ``ours``: all in it is code's; else what code has not touched is left out."""

    folder: Path
    ours: bool

    def used(self) -> int | None:
        """Return the bytes that the whole disk has given away, some for each file; None where it does not tell."""
        try:
            found = os.statvfs(self.folder)
        except OSError:
            return None
        if not found.f_blocks:
            return None
        return (found.f_blocks - found.f_bfree) * found.f_frsize + (found.f_files - found.f_ffree) * usage.LEAST


class Growth:
    """Measures what a sandbox's code has added to ``places``, in all its containers. ``limit`` is in bytes."""

    def __init__(self, places: Sequence[Place], limit: int) -> None:
        self._places = places
        self._limit = limit
        self._begun = time.time(), time.monotonic()
        self._at_start = [place.used() for place in places]
        self._last = 0
        self.begin()

    def begin(self) -> None:
        """Begin a new container, with what is there now: it is measured at once, where it may be too much already."""
        self._loss_before = self._loss()
        self._allowed: int | None = None
        self._seen: int | None = None
        self._rested_at = self._calm_at = self._due_at = -math.inf

    def is_due(self) -> bool:
        """Tell whether it is time to measure; it costs one question for each place."""
        now = time.monotonic()
        rise = self._loss() - (self._loss_before if self._seen is None else self._seen)
        left = max((self._allowed or self._limit) - self._last, 0)
        if rise > left:  # at worst the limit is passed
            return now >= self._rested_at
        if now >= self._due_at and (any(place.ours for place in self._places) or self._last > self._limit):
            return rise != 0 or self._seen is None
        return now >= self._calm_at and rise > max(left // 2, self._limit // _SLACK)

    def excess(self, container: str) -> int | None:
        """Return the bytes that the code has added, if they are more than it may; ``container`` is what it runs in."""
        begun = time.monotonic()
        loss = self._loss()
        found = self._measured(container, loss)
        if self._allowed is None:
            before = found - max(loss - self._loss_before, 0)
            self._allowed = self._limit if before <= self._limit else before + self._limit // _SLACK
        ended = time.monotonic()
        self._last, self._seen = found, loss
        took = ended - begun
        self._rested_at, self._due_at = ended + took, ended + max(_QUIET_SECONDS, 5 * _REST * took)
        self._calm_at = ended + _REST * took
        if found <= self._limit:
            self._allowed = self._limit
        return None if found <= self._allowed else found

    def _loss(self) -> int:
        """Return how much fuller the disks are than at the start, whoever filled them."""
        return sum(self._losses())

    def _losses(self) -> list[int]:
        pairs = zip(self._places, self._at_start, strict=True)
        return [now - before if before is not None and (now := place.used()) is not None else 0
                for place, before in pairs]

    def _measured(self, container: str, loss: int) -> int:
        most = 2 * self._allowed if self._allowed else math.inf
        found = Usage()
        for place, filled, before in zip(self._places, self._losses(), self._at_start, strict=True):
            used = usage.below(place.folder, since=0.0 if place.ours else self._since(), most=most)
            # A file that was there and has grown is in it whole: the disk knows better how much that can be.
            most_of_it = used.size if place.ours or before is None else min(used.size, max(filled, 0))
            found += Usage(most_of_it, used.whole)
        found += usage.hidden(container, _devices(self._places), most=most)
        return found.size if found.whole else max(found.size, loss)

    def _since(self) -> float:
        """Return when the sandbox began, by the clock as it goes now: it may have been set back."""
        wall, steady = self._begun
        return min(wall, time.time() - (time.monotonic() - steady)) - _CLOCK

    def error(self, found: int) -> ChannelError:
        """Return why a sandbox whose code has added ``found`` bytes was ended."""
        where = " and ".join(str(place.folder) for place in self._places)
        return ChannelError(
            f"The code has filled {where} with {found // MIB} MiB, which is more than the setting disk allows "
            f"({format_size(self._limit)}), so the sandbox was ended.",
            next_step=f"Its files are kept: let it delete some, or allow more: --disk {format_size(2 * self._limit)}",
            limit="disk")


def _devices(places: Collection[Place]) -> set[int]:
    found = set()
    for place in places:
        try:
            found.add(place.folder.stat().st_dev)
        except OSError:
            continue
    return found
