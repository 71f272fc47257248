"""The CI examples of docs/tasks.md: their shell steps, run as the servers run them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.documented import PAGES, blocks
from tests.support.readers_world import BEFORE, environment, furnish
from tests.support.sbi_process import SBI, SECONDS

PAGE = "docs/tasks.md"


def example(key: str) -> Any:
    """Return the example that has ``key`` at its top."""
    (found,) = [data for data in map(yaml.safe_load, blocks(PAGES[PAGE], "yaml")) if key in data]
    return found


def steps() -> dict[str, list[str]]:
    """Return the shell steps of each example, for the first of its two machines."""
    github = [step["run"].replace("${{ matrix.shard }}", "1") for step in example("jobs")["jobs"]["tasks"]["steps"]
              if "run" in step]
    return {"github": github, "gitlab": example("tasks")["tasks"]["script"]}


@pytest.mark.parametrize("server", ["github", "gitlab"])
def test_the_steps_of_the_example_run(server: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    furnish(folder)
    record = "sbi task tests/tasks --record tests/recordings"
    with environment(PAGE, tmp_path) as env:
        env |= {"PATH": f"{Path(SBI).parent}:{env['PATH']}", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "2"}
        env["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary.md")
        _run(f"{BEFORE[PAGE][0]}; {record}", folder, env)
        env.pop("SBI_MODEL")
        for step in steps()[server]:
            _run(step, folder, env)
    assert (folder / "junit.xml").read_text().count("<testcase ") == 1
    assert (folder / "results" / "tests" / "tasks").is_dir()
    assert "1 passed" in (tmp_path / "summary.md").read_text()


def _run(step: str, folder: Path, env: dict[str, str]) -> None:
    done = subprocess.run(["bash", "-e", "-c", step], cwd=folder, env=env, capture_output=True, text=True,
                          timeout=SECONDS)
    assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"
