"""Which task files are meant, and what a task file may do with the settings of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ConfigError, UsageError
from sandbox_interpreter.tasks import history, suite
from sandbox_interpreter.tasks.place import settings_of
from sandbox_interpreter.tasks.record import Task
from sandbox_interpreter.tasks.results import TaskResult


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of tasks, as the current one."""
    for name in ("a.yaml", "deep/b.yml", "deep/er/c.yaml", ".hidden/d.yaml", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("code: pass\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*words: str) -> list[str]:
    return [suite.name_of(path) for path in suite.files(words)]


def test_files_folders_and_patterns_name_tasks_each_once(here: Path) -> None:
    assert names(".") == ["a", "deep/b", "deep/er/c"]
    assert names("deep", "a.yaml", "./a.yaml") == ["a", "deep/b", "deep/er/c"]
    assert names("**/*.yaml", "notes.txt") == [".hidden/d", "a", "deep/er/c", "notes"]
    assert names(f"{here}/deep/*.yml") == ["deep/b"]


@pytest.mark.parametrize("word", ["none.yaml", "none/*.yaml", "", "deep/er/none"])
def test_a_word_that_names_none_is_an_error(here: Path, word: str) -> None:
    if word:
        with pytest.raises(UsageError, match="names no task file"):
            suite.files([word])


def test_all_mistakes_of_all_files_are_told_together(here: Path) -> None:
    (here / "a.yaml").write_text("code: [\n")
    (here / "deep" / "b.yml").write_text("code: pass\ninputs: none.csv\n")
    with pytest.raises(ConfigError) as caught:
        suite.read(suite.files(["."]))
    assert [line.partition(":")[0].rpartition("/")[2] for line in str(caught.value).splitlines()] == ["a.yaml", "b.yml"]


def test_two_tasks_of_one_name_are_refused(here: Path) -> None:
    (here / "a.yaml").write_text("code: pass\nname: deep/er/C\n")
    with pytest.raises(ConfigError, match="are both called 'deep/er/c'"):
        suite.read(suite.files(["."]))


@pytest.mark.parametrize("name", ["../out", "/etc/x", "a//b", "a/../b", "."])
def test_a_name_that_leads_elsewhere_is_refused(here: Path, name: str) -> None:
    (here / "a.yaml").write_text(f"code: pass\nname: {name}\n")
    with pytest.raises(ConfigError):
        suite.read(suite.files(["a.yaml"]))


def test_shards_are_together_all_and_none_twice(here: Path) -> None:
    paths = [Path(str(number)) for number in range(7)]
    parts = [suite.shard(paths, f"{number}/3") for number in (1, 2, 3)]
    assert sorted(path for part in parts for path in part) == paths
    assert [len(part) for part in parts] == [3, 2, 2]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no part of a whole"):
        suite.shard([], text)


def test_what_did_not_pass_or_never_ran_is_run_again(here: Path) -> None:
    a, b, c = suite.files(["."])
    history.remember([TaskResult("a", str(a), "passed"), TaskResult("b", str(b), "failed")])
    assert suite.failed([a, b, c]) == [b, c]


def test_a_task_has_its_own_settings_over_those_of_the_command_line() -> None:
    base = Settings(memory=2**30, env=("A=1", "B=1"), workspace="/tmp", timeout=5)
    settings = settings_of(Task("t", Path("t"), {"memory": 2**29, "env": ("B=2",)}), base)
    assert (settings.memory, settings.timeout, settings.env) == (2**29, 5, ("A=1", "B=1", "B=2"))
    assert settings.workspace is None
    assert settings.output == 64 * 2**20


def test_a_task_may_narrow_the_network_and_the_secrets_and_widen_neither() -> None:
    base = Settings(network="full", secret=("A", "B"))
    assert settings_of(Task("t", Path("t"), {"network": "none", "secret": ("A",)}), base).secret == ("A",)
    assert settings_of(Task("t", Path("t")), base).network == "full"
    with pytest.raises(ConfigError) as caught:
        settings_of(Task("t", Path("t.yaml"), {"network": "full"}), Settings())
    assert caught.value.next_step == "To allow it, in every task: --network full"
    with pytest.raises(ConfigError) as caught:
        settings_of(Task("t", Path("t.yaml"), {"secret": ("A", "C")}), base)
    assert caught.value.next_step == "To allow it: --secret C"


def test_a_task_may_lower_the_budget_of_its_user_and_not_raise_it() -> None:
    task = Task("t", Path("t.yaml"), {"max_budget": 2.0})
    assert settings_of(task, Settings(max_budget=3.0)).max_budget == 2
    assert settings_of(task, Settings()).max_budget == 2
    with pytest.raises(ConfigError, match="budget: this file may only lower yours, which is 1"):
        settings_of(task, Settings(max_budget=1.0))
