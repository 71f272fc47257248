"""A clock that is set, by hand or by the network, changes no deadline and no duration."""

from __future__ import annotations

import re
from pathlib import Path

import sandbox_interpreter

# A process that cannot read when it began; a date that a server named without its own; when files were changed.
MAY_ASK_THE_CALENDAR = {"sandbox/owner.py", "models/failures.py", "sandbox/growth.py"}
# What is written down for people: names and times of sessions, events and reports; when a runtime's support ends.
MAY_WRITE_THE_DATE = {"sessions/store.py", "sessions/log.py", "sessions/journal.py", "servers/pool.py",
                      "tasks/junit.py", "verification/sbom.py", "verification/behaviour.py"}
CALENDAR = r"\btime\.time(_ns)?\b|\b(gm|local|c|asc)time\(|CLOCK_(REALTIME|BOOTTIME|TAI)|\bfrom time import"
DATE = r"\bdatetime\.(utc)?now\b|\btoday\("


def asking(pattern: str) -> set[str]:
    """Return the modules whose source holds what ``pattern`` finds."""
    package = Path(sandbox_interpreter.__file__).parent
    return {path.relative_to(package).as_posix() for path in package.rglob("*.py")
            if re.search(pattern, path.read_text("utf-8"))}


def test_nothing_is_measured_by_a_clock_that_can_be_set_or_slept_through() -> None:
    """What a jump does all the same is in tests/end_to_end/test_clock_jumps.py."""
    assert asking(CALENDAR) == MAY_ASK_THE_CALENDAR
    assert asking(DATE) == MAY_WRITE_THE_DATE
