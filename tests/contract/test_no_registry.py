"""Package managers where there is no network: one line that says why, and which setting would change it."""

from __future__ import annotations

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run

# A look-up that waits for an answer takes 5 s: more than this means that one was made, or made again.
PATIENCE = 30.0
PARENT = 'require("child_process").spawnSync("npm", ["install", "left-pad"], { stdio: "inherit" }).status'

PACKED = ("mkdir p && cd p && npm init --yes >/dev/null && npm pack --silent && "
          "npm install --silent --prefix /tmp/q ./p-1.0.0.tgz && ls /tmp/q/node_modules")


@pytest.mark.parametrize(("image", "language", "code"), [
    ("python", "shell", "pip install --quiet left-pad"),
    ("python", "shell", "python -m pip download left-pad"),
    ("node", "shell", "npm install left-pad"),
    ("node", "shell", "npx --yes left-pad"),
    ("node", "javascript", PARENT),
    ("r", "r", "install.packages('praise')"),
    ("ruby", "shell", "gem install rainbow"),
])
def test_a_manager_that_reaches_no_registry_says_why_in_one_line(engine: DockerEngine, image: str, language: str,
                                                                 code: str) -> None:
    with Sandbox(image, engine=engine) as box:
        done = run(box, language, code, timeout=PATIENCE)
    said = done.failure.traceback if language == "r" else done.stderr
    assert done.result.limit is None
    assert done.result.exit_code != 0 or done.values == ["1"]
    assert len(said.splitlines()) == 1
    assert "This sandbox has no network" in said
    assert "the setting network (--network)" in said


@pytest.mark.parametrize(("image", "language", "code"), [
    ("node", "shell", PACKED),
    ("r", "r", "nrow(available.packages(repos = 'file:///nowhere'))"),
    ("ruby", "shell", "gem list"),
])
def test_what_needs_no_registry_is_not_refused(engine: DockerEngine, image: str, language: str, code: str) -> None:
    with Sandbox(image, engine=engine) as box:
        done = run(box, language, code)
    assert "has no network" not in done.stderr + "".join(str(each) for each in done.outputs)
    assert language == "r" or done.result.exit_code == 0
