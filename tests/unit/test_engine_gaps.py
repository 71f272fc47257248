"""What an engine is known not to do is told of that engine, and of no other, by doctor and by the page on engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_interpreter.engines.base import EngineInfo
from sandbox_interpreter.engines.gaps import ELSEWHERE, GVISOR, PODMAN, TCP, Gap, gaps

PAGE = Path(__file__).parents[2] / "docs/engines.md"
TOLD = {"Podman": PODMAN, "gVisor (--runtime runsc)": GVISOR, "any over TCP": TCP,
        "any on another machine": (ELSEWHERE,)}


@pytest.mark.parametrize(("name", "runtime", "told"), [
    ("docker", None, ()), ("docker", "runc", ()), ("podman", None, PODMAN), ("docker", "runsc", GVISOR),
    ("podman", "runsc", PODMAN + GVISOR),
])
def test_gaps_are_those_of_the_engine_and_the_runtime(name: str, runtime: str | None, told: tuple[Gap, ...]) -> None:
    assert gaps(EngineInfo(name, "1", "1.41", "http+docker://localhost"), runtime) == told
    default = EngineInfo(name, "1", "1.41", "http+docker://localhost", default_runtime=runtime or "runc")
    assert gaps(default, None) == told


@pytest.mark.parametrize("address", ["https://192.0.2.1:2376", "http://192.0.2.1:2375"])
def test_those_of_an_engine_over_tcp_are_told_as_well(address: str) -> None:
    assert gaps(EngineInfo("docker", "1", "1.41", address), "runsc") == GVISOR + TCP


def test_the_page_on_engines_tells_every_gap_and_no_other() -> None:
    (table,) = (part for part in PAGE.read_text().split("\n\n") if part.startswith("| engine | gap |"))
    rows = [tuple(cell.strip() for cell in line.replace("`", "").strip("|").split("|"))
            for line in table.splitlines()[2:]]
    assert [row for row in rows if row[1] != "none known"] == [
        (engine, gap.what, gap.why) for engine, found in TOLD.items() for gap in found]
