"""Which files a task is given, and which it is not, whatever its file says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox_interpreter.agent import globs
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.tasks.inputs import Source, sources
from sandbox_interpreter.tasks.record import Input, Task


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a project with a folder of tasks and one of data, as the current folder."""
    here = tmp_path / "project"
    for name in ("tasks/one.csv", "tasks/deep/two.csv", "tasks/deep/[odd].csv", "data/three.csv"):
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_text(name)
    (tmp_path / "secret").write_text("secret")
    monkeypatch.chdir(here)
    return here


def given(suite: Path, *inputs: Input) -> dict[str, str]:
    """Return what is copied for a task: contents by the names in /workspace."""
    found = {}
    for source in sources(Task("t", suite / "tasks" / "t.yaml", inputs=inputs)):
        with source.open() as file:
            found[source.target] = file.read().decode()
    return found


def test_files_patterns_and_folders_keep_their_names_beside_the_task(suite: Path) -> None:
    assert given(suite, Input("one.csv")) == {"one.csv": "tasks/one.csv"}
    assert given(suite, Input("deep")) == {name: f"tasks/{name}" for name in ("deep/two.csv", "deep/[odd].csv")}
    assert given(suite, Input("deep/[odd].csv")) == {"deep/[odd].csv": "tasks/deep/[odd].csv"}
    assert set(given(suite, Input("**/*.csv"))) == {"one.csv", "deep/two.csv", "deep/[odd].csv"}


def test_files_of_the_project_beside_the_folder_of_tasks_may_be_named(suite: Path) -> None:
    assert given(suite, Input("../data/three.csv")) == {"data/three.csv": "data/three.csv"}


def test_a_name_of_its_own_or_a_folder_in_the_workspace(suite: Path) -> None:
    assert given(suite, Input("one.csv", "in.csv")) == {"in.csv": "tasks/one.csv"}
    assert set(given(suite, Input("deep/t*.csv", "in/"))) == {"in/two.csv"}
    with pytest.raises(UsageError, match="2 files cannot all be 'x'"):
        given(suite, Input("deep/*", "x"))
    with pytest.raises(UsageError, match=r"two files would be 'one\.csv'"):
        given(suite, Input("one.csv"), Input("deep/two.csv", "one.csv"))


@pytest.mark.parametrize("pattern", ["../../secret", "../../*", "deep/../../../secret"])
def test_nothing_outside_of_the_project_is_given(suite: Path, pattern: str) -> None:
    with pytest.raises(UsageError, match="leads out of"):
        given(suite, Input(pattern))


def test_links_are_not_followed_even_where_they_appear_after_the_look(suite: Path) -> None:
    (suite / "tasks" / "way").symlink_to(suite.parent)
    (suite / "tasks" / "alias.csv").symlink_to(suite.parent / "secret")
    for pattern in ("way/secret", "way/*", "alias.csv", "way"):
        with pytest.raises(UsageError, match=r"no such file|cannot be read"):
            given(suite, Input(pattern))
    assert set(given(suite, Input("*.csv"))) == {"one.csv"}
    (suite / "tasks" / "one.csv").unlink()
    (suite / "tasks" / "one.csv").symlink_to(suite.parent / "secret")
    with pytest.raises(UsageError, match="cannot be read"):
        Source(suite, ("tasks", "one.csv"), "one.csv").open()


@pytest.mark.parametrize("pattern", ["way", "way/**", "way/usr", "way/usr/*/x"])
def test_nothing_behind_a_link_is_even_looked_for(suite: Path, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (suite / "tasks" / "way").symlink_to("/")
    looked: list[str] = []

    def look(root: str, _pattern: str) -> list[str]:
        looked.append(root)
        return []

    monkeypatch.setattr(globs, "files", look)
    with pytest.raises(UsageError, match="no such file, or it is a link"):
        sources(Task("t", suite / "tasks" / "t.yaml", inputs=(Input(pattern),)))
    assert not [root for root in looked if "way" in root]


def test_a_pipe_holds_nobody_up_and_is_refused(suite: Path) -> None:
    os.mkfifo(suite / "tasks" / "pipe")
    with pytest.raises(UsageError):
        given(suite, Input("pipe"))
    with pytest.raises(UsageError, match="not a plain file"):
        Source(suite, ("tasks", "pipe"), "pipe").open()


def test_a_file_that_is_not_there_is_named_with_its_task(suite: Path) -> None:
    with pytest.raises(UsageError, match=r"t\.yaml: the input 'none\.csv': there is no such file"):
        given(suite, Input("none.csv"))


def test_from_the_home_folder_only_what_lies_beside_the_task_is_given(
        suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(suite))
    assert given(suite, Input("one.csv")) == {"one.csv": "tasks/one.csv"}
    with pytest.raises(UsageError, match="leads out of"):
        given(suite, Input("../data/three.csv"))


def test_a_task_in_a_place_for_secrets_is_given_nothing(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(suite))
    (suite / ".ssh").mkdir()
    (suite / ".ssh" / "id").write_text("key")
    with pytest.raises(UsageError, match="credentials"):
        sources(Task("t", suite / ".ssh" / "t.yaml", inputs=(Input("id"),)))


def test_names_that_would_deceive_or_break_are_refused(suite: Path) -> None:
    (suite / "tasks" / "deep" / "a\nb.csv").write_text("x")
    with pytest.raises(UsageError, match="cannot be copied"):
        given(suite, Input("deep/*.csv"))
