"""A block in a language that the session's image lacks runs beside it, on the same files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.workbench import Workbench


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def bench(told: list[str]) -> Iterator[Workbench]:
    bench = Workbench(Settings(image="base"))
    bench.notices.listener = told.append
    yield bench
    bench.close()


def printed(bench: Workbench, language: str, code: str) -> str:
    return "".join(str(chunk.get("content", "")) for chunk in bench.run(language, code)
                   if chunk.get("format") == "output")


def test_it_shares_the_files_keeps_its_state_and_is_announced_once(bench: Workbench, told: list[str]) -> None:
    printed(bench, "shell", "echo 41 >n.txt")
    for code in ("const n = Number(require('fs').readFileSync('n.txt', 'utf8'))", "let m = n + 1",
                 "require('fs').writeFileSync('m.txt', String(m)); console.log(m)"):
        said = printed(bench, "js", code)
    assert said == "42\n"
    assert printed(bench, "ts", "m as number") == "42\n"
    assert printed(bench, "shell", "cat m.txt") == "42"
    files = "on another machine"  # where the engine is: told on the files, and by the tests of those
    assert [text for text in told if files not in text] == [
        "The image 'base' has no javascript; it runs in a sandbox of the image 'node', on the same files."]


def test_reset_and_close_reach_it(bench: Workbench, engine: DockerEngine) -> None:
    printed(bench, "ruby", "x = 1")
    bench.reset()
    assert "NameError" in printed(bench, "ruby", "x")
    session = bench.sandbox.session
    assert engine.list({f"{LABEL}.session": f"{session}-ruby"})
    bench.close()
    assert engine.list({f"{LABEL}.session": f"{session}-ruby"}) == []
