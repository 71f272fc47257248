from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter import config
from sandbox_interpreter.config import Settings, load
from sandbox_interpreter.config.settings import SPECS
from sandbox_interpreter.config.sources import Found
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.sandbox.policy import Policy


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("SBI_") and name not in ("SBI_CONFIG_DIR", "SBI_DATA_DIR"):
            monkeypatch.delenv(name)


def written(text: str) -> Path:
    path = config.config_folder() / "config.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_without_anything_the_defaults_are_in_force() -> None:
    assert load() == Settings()


def test_the_file_the_environment_and_flags_are_laid_over_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    written("memory: 2g\nmodel: file\ncpus: 3\n")
    monkeypatch.setenv("SBI_MODEL", "environment")
    monkeypatch.setenv("SBI_CPUS", "")  # set but empty says nothing
    monkeypatch.setenv("SBI_AUTO_RUN", "yes")
    settings = load({"temperature": "0.5", "cpus": None})
    assert (settings.memory, settings.model, settings.cpus) == (2 * 1024**3, "environment", 3.0)
    assert (settings.temperature, settings.auto_run) == (0.5, True)


@pytest.mark.parametrize(("name", "given", "expected"), [
    ("memory", "1.5g", 1610612736),
    ("memory", "64 MiB", 64 * 1024**2),
    ("memory", 104857600, 104857600),
    ("output", "0", 0),
    ("pids", 64.0, 64),
    ("auto_run", "OFF", False),
    ("auto_run", True, True),
    ("supports_functions", None, None),
    ("supports_functions", "1", True),
    ("model", "gpt", "gpt"),
    ("secret", "A, B,", ("A", "B")),
    ("secret", ["A,B"], ("A,B",)),
    ("secret", None, ()),
    ("env", {"A": 1, "B": "x"}, ("A=1", "B=x")),
    ("max_tokens", "None", None),
    ("max_budget", "none", None),
    ("supports_functions", "null", None),
    ("model", "", None),
    ("network", "none", "none"),
])
def test_a_value_takes_the_type_of_its_setting(name: str, given: Any, expected: Any) -> None:
    assert config.convert(name, given) == expected


@pytest.mark.parametrize(("name", "given", "reason"), [
    ("auto_run", "maybe", "'maybe' is neither true nor false"),
    ("model", 3, "3 is not text"),
    ("pids", True, "True is not a whole number"),
    ("pids", [1], r"\[1\] is not a whole number"),
    ("pids", 1.5, "1.5 is not a whole number"),
    ("secret", 3, "3 is not a list of texts"),
    ("secret", [1], r"\[1\] is not a list of texts"),
    ("memory", "1x", "'1x' is not a size"),
    ("memory", None, "None is not a whole number"),
    ("max_tokens", 0, "0 is too small; the least is 1"),
    ("temperature", "-1", "-1.0 is too small; the least is 0"),
])
def test_a_value_that_does_not_fit_is_named_with_an_example(name: str, given: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: {reason}") as caught:
        config.convert(name, given)
    assert caught.value.next_step == f"For example: {name}: {SPECS[name].example}"


def test_a_limit_that_is_an_empty_text_is_refused_and_not_lifted() -> None:
    with pytest.raises(ConfigError, match=r"^--max-budget: '' is not a number"):
        load({"max_budget": ""})


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.hidden])
def test_an_error_does_not_repeat_a_secret(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.convert(name, ["hunter2"])
    assert "hunter2" not in caught.value.report()


def test_an_error_repeats_no_more_than_one_can_read() -> None:
    with pytest.raises(ConfigError) as caught:
        config.convert("memory", "9" * 10_000)
    assert len(str(caught.value)) < 200


def test_an_unknown_setting_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Unknown setting 'memroy'") as caught:
        config.convert("memroy", 1)
    assert caught.value.next_step == "Did you mean 'memory'?"
    with pytest.raises(ConfigError) as caught:
        config.convert("zzzzzz", 1)
    assert "sbi config show" in caught.value.next_step


def test_an_error_names_the_place_that_the_value_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    path = written("pids: many\n")
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value) == f"{path}:1: pids: 'many' is not a whole number."
    assert caught.value.next_step == "For example: pids: 128"
    path.unlink()
    monkeypatch.setenv("SBI_ENV_FILE", "ok")
    monkeypatch.setenv("SBI_PIDS", "many")
    with pytest.raises(ConfigError, match=r"^SBI_PIDS: 'many'") as caught:
        load()
    assert caught.value.next_step == "For example: SBI_PIDS=128"


def test_every_place_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    path = written("pids: many\nmemroy: 1g\ncpus: 1\n")
    monkeypatch.setenv("SBI_TIMEOUT", "soon")
    with pytest.raises(ConfigError) as caught:
        load({"idle": "0"})
    places = [line.partition(": ")[0] for line in str(caught.value).splitlines()]
    assert places == [f"{path}:1", f"{path}:2", "SBI_TIMEOUT", "--idle"]


def test_a_value_knows_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    path = written("memory: 2g\n\npids: 99\n")
    monkeypatch.setenv("SBI_CPUS", "1")
    found = config.resolve({"idle": "5", "image": None}).found
    assert {name: (each.layer, each.place) for name, each in found.items() if each.layer != "default"} == {
        "memory": ("user", f"{path}:1"), "pids": ("user", f"{path}:3"), "cpus": ("environment", "SBI_CPUS"),
        "idle": ("flag", "--idle")}
    assert found["image"] == Found("python")


def test_a_variable_that_is_no_setting_is_told_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBI_MEMROY", "1g")
    assert config.resolve().notices == ("SBI_MEMROY in the environment is no setting. Did you mean 'SBI_MEMORY'?",)


def test_extending_lays_a_file_over_what_is_set_or_changes_nothing(tmp_path: Path) -> None:
    settings = Settings(pids=50, memory=2**30)
    (tmp_path / "good.yaml").write_text("pids: 60\nverbose: true\nlanguages: [python]\n")
    notices = config.extend(settings, tmp_path / "good.yaml")
    assert settings == Settings(pids=60, memory=2**30, debug=True)
    assert len(notices) == 1
    assert "good.yaml:3: languages" in notices[0]
    (tmp_path / "bad.yaml").write_text("pids: 70\nmemroy: 2g\n")
    with pytest.raises(ConfigError, match="Unknown setting 'memroy'"):
        config.extend(settings, tmp_path / "bad.yaml")
    (tmp_path / "contradicting.yaml").write_text("pids: 70\nmax_tokens: 10\ncontext_window: 10\n")
    with pytest.raises(ConfigError, match="must be smaller"):
        config.extend(settings, tmp_path / "contradicting.yaml")
    assert settings.pids == 60


def test_extending_looks_a_bare_name_up_in_the_settings_folder() -> None:
    settings = Settings()
    written("pids: 60\n").rename(config.config_folder() / "work.yaml")
    config.extend(settings, "work.yaml")
    assert settings.pids == 60
    with pytest.raises(ConfigError, match=r"There is no config file 'absent\.yaml'; looked at .*/config/absent"):
        config.extend(settings, "absent.yaml")


@pytest.mark.parametrize(("name", "what"), [("", "a folder"), (".", "a folder"), ("/dev/null", "no plain file")])
def test_a_settings_file_that_is_no_file_is_not_said_to_be_missing(name: str, what: str) -> None:
    config.config_folder().mkdir(parents=True, exist_ok=True)
    with pytest.raises(ConfigError, match=f"is {what}") as caught:
        config.extend(Settings(), name)
    assert caught.value.next_step == "Name another."


def test_an_empty_file_and_one_of_comments_say_nothing() -> None:
    for text in ("", "# memory: 2g\n"):
        written(text)
        assert load() == Settings()


def test_a_named_file_must_exist_and_replaces_the_usual_one(tmp_path: Path) -> None:
    written("pids: 50\n")
    other = tmp_path / "other.yaml"
    with pytest.raises(ConfigError, match="Cannot read"):
        load(file=other)
    other.write_text("cpus: 1\n")
    assert load(file=other) == Settings(cpus=1.0)


def test_max_tokens_must_fit_the_context_window() -> None:
    with pytest.raises(ConfigError, match=r"max_tokens \(100\) must be smaller than context_window \(100\)"):
        load({"max_tokens": "100", "context_window": "100"})
    assert load({"max_tokens": "99", "context_window": "100"}).max_tokens == 99


def test_the_policy_is_what_the_settings_say() -> None:
    settings = load({"memory": "64m", "network": "full", "workspace": "x:ro", "timeout": "5"})
    assert settings.policy() == Policy(memory=64 * 1024**2, network="full", access="ro", timeout=5.0)
    assert Settings().policy() == Policy()


def test_folders_follow_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SBI_CONFIG_DIR")
    monkeypatch.delenv("SBI_DATA_DIR")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "d"))
    assert config.config_folder() == tmp_path / "c" / "sandbox-interpreter"
    assert config.data_folder() == tmp_path / "d" / "sandbox-interpreter"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.config_folder() == tmp_path / ".config" / "sandbox-interpreter"
    assert config.data_folder() == tmp_path / ".local" / "share" / "sandbox-interpreter"


def test_a_user_without_a_home_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert config.home_folder() == Path("/")


def test_a_config_file_is_looked_up_by_name_or_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config.config_folder().mkdir(parents=True)
    (config.config_folder() / "work.yaml").touch()
    (tmp_path / "here.yaml").touch()
    assert config.locate("work.yaml") == config.config_folder() / "work.yaml"
    assert config.locate("here.yaml") == tmp_path / "here.yaml"
    assert config.locate("./here.yaml") == tmp_path / "here.yaml"
    with pytest.raises(ConfigError) as caught:
        config.locate("none.yaml")
    assert str(config.config_folder() / "none.yaml") in str(caught.value)
    assert str(tmp_path / "none.yaml") in str(caught.value)
