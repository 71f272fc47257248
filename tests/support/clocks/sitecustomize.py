"""Clocks that are set, or slept through, while a program runs: Python loads this where PYTHONPATH names its folder.

Beside it, the file ``ahead`` holds lines of a clock and the seconds by which it is ahead of the machine's:
``REALTIME``, which is set by hand and by the network, ``BOOTTIME``, which goes on in a laptop that sleeps, and
``MONOTONIC``. It is read at every look at a clock. The kernel's own waits and
the times of files go by the machine's clocks still.
"""

from __future__ import annotations

import datetime
import time
from pathlib import Path
from typing import Any

_AHEAD = Path(__file__).with_name("ahead")
_clock_gettime_ns, _localtime, _gmtime, _strftime = time.clock_gettime_ns, time.localtime, time.gmtime, time.strftime
_NAMES = {time.CLOCK_REALTIME: "REALTIME", time.CLOCK_BOOTTIME: "BOOTTIME", time.CLOCK_MONOTONIC: "MONOTONIC"}


def _now(clock: int) -> int:
    """Return a clock's nanoseconds."""
    ahead = 0
    try:
        with _AHEAD.open() as file:
            ahead = sum(int(line.split()[1]) for line in file if line.split()[0] == _NAMES.get(clock))
    except OSError:
        pass  # nobody has set any
    return _clock_gettime_ns(clock) + ahead * 10**9


def _seconds(given: Any) -> float:
    return _now(time.CLOCK_REALTIME) / 1e9 if given is None else given


class _Datetime(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(_seconds(None), tz)


class _Date(datetime.date):
    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(_seconds(None))


time.time = lambda: _now(time.CLOCK_REALTIME) / 1e9
time.time_ns = lambda: _now(time.CLOCK_REALTIME)
time.monotonic = lambda: _now(time.CLOCK_MONOTONIC) / 1e9
time.monotonic_ns = lambda: _now(time.CLOCK_MONOTONIC)
time.clock_gettime = lambda clock: _now(clock) / 1e9
time.clock_gettime_ns = _now
time.localtime = lambda secs=None: _localtime(_seconds(secs))
time.gmtime = lambda secs=None: _gmtime(_seconds(secs))
time.strftime = lambda form, moment=None: _strftime(form, moment or time.localtime())
datetime.datetime = _Datetime  # type: ignore[misc]  # a class is put in the place of another
datetime.date = _Date  # type: ignore[misc]  # the same
