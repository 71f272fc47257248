"""The Python of every page runs, from the first example to the last, as one program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documented import PAGES, blocks, run
from tests.support.readers_world import BEFORE, environment, furnish

SHOWS = {
    "README.md": ["'content': '42\\n'", "not a language model"],
    "docs/migrating.md": [],
    "docs/python-api.md": ["not a language model", "1095 rows", "'content': '42\\n'", "b'hello\\n'", "3 "],
    "docs/sessions.md": [],
}
"""What the examples of a page print, among other things."""
ELSEWHERE = {
    "docs/languages.md": "tests/end_to_end/test_adding_a_language.py",
    "docs/cluster.md": "tests/end_to_end/test_cluster.py",
    "docs/http-api.md": "tests/end_to_end/test_serve_docs.py",
    "docs/README_JA.md": "tests/unit/test_documented_pages.py",
}
"""Pages whose Python another test runs, or compares."""


@pytest.mark.parametrize("name", SHOWS)
def test_the_examples_of_the_page_run(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    furnish(folder)
    with environment(name, tmp_path) as env:
        assert [each.code for each in run(BEFORE.get(name, []), folder, stdin="", env=env)] == [0] * len(
            BEFORE.get(name, []))
        env.pop("SBI_AUTO_RUN")  # the examples say it themselves, or show what is so without
        result = subprocess.run([sys.executable, "-c", "\n".join(blocks(PAGES[name], "python"))], capture_output=True,
                                text=True, timeout=100, cwd=folder, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    for shown in SHOWS[name]:
        assert shown in result.stdout


def test_the_python_of_every_page_runs_somewhere() -> None:
    assert {name for name, page in PAGES.items() if blocks(page, "python")} == SHOWS.keys() | ELSEWHERE.keys()
