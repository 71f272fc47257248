"""Every command of README.md and docs/ runs, in the order of its page, as a reader would run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import documented
from tests.support.documented import PAGES
from tests.support.readers_world import BEFORE, environment, furnish

NOT_RUN = {
    "pip install .": "installs packages; tests/end_to_end/test_setup.py sets an environment up",
    "pip install 'sandbox-interpreter[serve]'": "installs packages",
    "sudo apt-get install mmdebstrap": "changes the machine",
    "make setup": "tests/end_to_end/test_setup.py",
    "make test": "this is one of its tests",
    "make test-unit": "these are its tests",
    "make test-engines": "runs tests for minutes",
    "make check": "lints and types for a minute; .ci/run does",
    "make bench": "measures for minutes",
    "make bench-peers": "installs other systems, and measures for minutes",
    "make picture": "writes into the repository; tests/end_to_end/test_picture.py records a session",
    "sbi images verify python": "takes half a minute; tests/end_to_end/test_images_and_doctor.py verifies images",
    "sbi images build python --with-ca": "builds an image; tests/images/test_trusted_ca.py does so",
    "sbi run --network packages -l shell -c 'pip install humanize'": "needs an index",
    "pip download --dest packages .": "downloads packages",
    "pip install --no-index --find-links packages .": "installs packages",
    "sbi images save images.tar.gz python": "packs for half a minute; test_images_share.py saves others",
    "sbi images load images.tar.gz": "see above",
    "sbi images save python.tar.gz python": "see above",
    "sbi images load python.tar.gz": "see above",
    "sbi images build -f team.yaml": "fetches packages; tests/end_to_end/test_images_team.py builds others",
    "sbi run --image registry.example/team/python:1 -c 'import polars'": "see above",
    "sbi images push python registry.example/team/python:1": "needs a registry; the same tests start one",
    "sbi images pull registry.example/team/python:1": "see above",
    "pip install 'sandbox-interpreter[ray]'": "installs packages",
    "ray start --head --resources='{\"sbi\": 4}'": "listens beyond loopback; test_cluster.py starts its nodes",
    "ray get-auth-token --generate": "writes into the home folder; for the commands below it",
    "export RAY_AUTH_MODE=token": "see above",
    "ray start --head --port=6379 --resources='{\"sbi\": 8}'": "see above",
    "ray start --address=HEAD:6379 --resources='{\"sbi\": 8}'": "see above",
    "ray stop": "ends every Ray of this machine",
    "sbi cluster doctor auto": "needs a cluster; test_cluster.py runs it on one",
    "sbi task tests/tasks --cluster auto --parallel 4": "see above",
    "sbi cluster doctor HEAD:6379": "see above",
    "sbi cluster doctor HEAD:6379 --json": "see above",
    "sbi task tests/tasks --cluster HEAD:6379 --parallel 16": "see above",
    "sbi task tests/tasks --cluster ray://HEAD:10001 --parallel 16": "see above",
}
"""Commands that no test can run, or that another one does, and why."""
STDIN = {
    "README.md": "%info\n",  # one of its commands shows the whole demo already
    "docs/sessions.md": "1\nand now?\n",
}
"""What the commands of a page read; elsewhere a prompt."""
TRANSLATED = "docs/README_JA.md"
"""Its commands are those of README.md; tests/unit/test_documented_pages.py compares them."""
PAGES_WITH_COMMANDS = [name for name, page in PAGES.items()
                       if name != TRANSLATED and set(documented.commands(page)) - NOT_RUN.keys()]


@pytest.mark.parametrize("name", PAGES_WITH_COMMANDS)
def test_every_command_of_the_page_runs(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    furnish(folder)
    wanted = [command for command in documented.commands(PAGES[name]) if command not in NOT_RUN]
    with environment(name, tmp_path) as env:
        ended = documented.run([*BEFORE.get(name, []), *wanted], folder, env=env, stdin=STDIN.get(name, "Count.\n"))
    failed = [each for each in ended if each.code != 0]
    assert not failed, "\n".join(f"{each.command}: {each.code}\n{each.said}" for each in failed)
    assert [*(tmp_path / "temporary").iterdir()] == []


def test_what_is_not_run_stands_on_a_page_and_has_its_reason() -> None:
    known = {command for page in PAGES.values() for command in documented.commands(page)}
    assert NOT_RUN.keys() <= known
    assert all(NOT_RUN.values())


@pytest.mark.parametrize("name", PAGES)
def test_no_command_of_the_page_stands_where_nobody_runs_it(name: str) -> None:
    assert documented.hidden(PAGES[name]) == []
