"""A clock that is set, by hand or by the network, changes no deadline and no duration."""

from __future__ import annotations

import re
from pathlib import Path

import sandbox_interpreter

# A process that cannot read when it began; a date that a server named; and when files were changed.
MAY_ASK_THE_CALENDAR = {"sandbox/owner.py", "models/failures.py", "sandbox/growth.py"}


def test_nothing_is_measured_by_the_clock_that_can_be_set() -> None:
    package = Path(sandbox_interpreter.__file__).parent
    asking = {path.relative_to(package).as_posix() for path in package.rglob("*.py")
              if re.search(r"\btime\.time(_ns)?\(|\bgmtime\(\)|CLOCK_REALTIME", path.read_text("utf-8"))}
    assert asking <= MAY_ASK_THE_CALENDAR


def test_the_agents_idle_time_is_running_time() -> None:
    # CLOCK_MONOTONIC stands still while a laptop sleeps, CLOCK_BOOTTIME does not.
    agent = Path(sandbox_interpreter.__file__).parent / "agent"
    sources = {path.name: path.read_text("utf-8") for path in agent.glob("*.py")}
    assert "return time.monotonic()" in sources["kernel.py"]
    assert not [name for name, source in sources.items() if "BOOTTIME" in source]
