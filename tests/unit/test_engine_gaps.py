"""What an engine is known not to do is told of that engine, and of no other."""

from __future__ import annotations

import pytest

from sandbox_interpreter.engines.base import EngineInfo
from sandbox_interpreter.engines.gaps import GVISOR, PODMAN, gaps


@pytest.mark.parametrize(("name", "runtime", "told"), [
    ("docker", None, ()), ("docker", "runc", ()), ("podman", None, PODMAN), ("docker", "runsc", GVISOR),
    ("podman", "runsc", PODMAN + GVISOR),
])
def test_gaps_are_those_of_the_engine_and_the_runtime(name: str, runtime: str | None, told: tuple[str, ...]) -> None:
    assert gaps(EngineInfo(name, "1", "1.41", "unix:///x"), runtime) == told
    assert gaps(EngineInfo(name, "1", "1.41", "unix:///x", default_runtime=runtime or "runc"), None) == told
