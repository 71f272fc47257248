"""How many requests a client may make."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CLIENTS = 10_000
"""Clients that are remembered; a flood of forged addresses forgets the oldest, not our memory's end."""


class RateLimit:
    """A bucket for each client: ``rate`` requests a minute, as many at once after a minute's rest; 0: no limit."""

    def __init__(self, rate: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was so

    def wait(self, client: str) -> int:
        """Return 0 and count a request, or the whole seconds until ``client`` may make another one."""
        if not self._rate:
            return 0
        now = self._now()
        left, since = self._buckets.pop(client, (float(self._rate), now))
        # Rounded, since 19.999999999999996 s of waiting are 20.
        left = round(min(left + (now - since) * self._rate / 60, float(self._rate)), 6)
        allowed = left >= 1
        self._buckets[client] = (left - 1 if allowed else left), now
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0 if allowed else math.ceil(round((1 - left) * 60 / self._rate, 3))
