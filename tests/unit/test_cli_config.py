from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sandbox_interpreter import config
from sandbox_interpreter.cli import config as command
from sandbox_interpreter.config import Settings, config_folder, describe
from sandbox_interpreter.config.settings import FIELDS, SPECS
from sandbox_interpreter.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, which is a repository, without settings in the environment."""
    for name in os.environ:
        if name.startswith("SBI_") and name not in ("SBI_CONFIG_DIR", "SBI_DATA_DIR"):
            monkeypatch.delenv(name)
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "repository"


def sbi_config(*arguments: str) -> Result:
    return CliRunner().invoke(command.app, list(arguments))


@pytest.fixture
def file() -> Path:
    config_folder().mkdir(parents=True, exist_ok=True)
    return config_folder() / "config.yaml"


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, editor: str) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)


def test_path_is_printed_whether_the_file_exists_or_not() -> None:
    assert sbi_config("path").stdout == f"{config_folder() / 'config.yaml'}\n"


def test_show_prints_each_value_and_where_it_comes_from(file: Path, folder: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("\nmemory: 300m\n")
    (folder / ".sbi.yaml").write_text("timeout: 60\n")
    monkeypatch.setenv("SBI_PIDS", "99")
    lines = sbi_config("show", "--cpus", "1").stdout.splitlines()
    assert len(lines) == len(FIELDS)
    assert {f"memory: 300m  # {file}:2", f"timeout: 60.0  # {folder}/.sbi.yaml:1", "pids: 99  # SBI_PIDS",
            "cpus: 1.0  # --cpus", "image: python  # default", "env: []  # default"} <= set(lines)


def test_show_prints_settings_that_can_be_read_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hard = Settings(memory=300 * 1024**2, env=("A=1", "B=x, y"), pids=99, model="yes", out="# not a comment",
                    system_message="Say: \"hi\"\n\n\ttab 'n quote\x85 ü … \x1b[31m\n")
    file.write_text("".join(f"{describe.as_yaml(name, value)}\n" for name, value in vars(hard).items()))
    assert config.load() == hard
    shown = sbi_config("show").stdout
    assert len(shown.splitlines()) == len(FIELDS)
    file.write_text(shown)
    assert config.load() == hard


def test_show_prints_one_json_object(file: Path) -> None:
    file.write_text("memory: 300m\napi_key: sk-very-secret\nsecret: [A]\n")
    result = sbi_config("show", "--json")
    shown = json.loads(result.stdout)
    assert shown["memory"] == {"value": 300 * 1024**2, "from": "user", "place": f"{file}:1"}
    assert shown["secret"]["value"] == ["A"]
    assert shown["pids"] == {"value": 256, "from": "default", "place": ""}
    assert "very-secret" not in result.stdout


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.hidden])
def test_show_keeps_a_secret_to_itself(name: str, file: Path) -> None:
    file.write_text(f"{name}: sk-very-secret\n")
    result = sbi_config("show")
    assert "very-secret" not in result.stdout
    assert f"# {name}: (set, not shown)  # {file}:1" in result.stdout


def test_show_obeys_no_escape_sequence(file: Path) -> None:
    file.write_text('image: "a\\e]52;c;x\\a"\n')
    assert "\x1b" not in sbi_config("show").stdout


def test_check_says_that_a_file_is_right(file: Path) -> None:
    assert "the defaults are in force" in sbi_config("check").stdout
    file.write_text("memory: 300m\n")
    assert sbi_config("check").stdout == f"{file} is right.\n"


def test_check_tells_everything_that_is_wrong_with_its_line(file: Path) -> None:
    file.write_text("memroy: 1g\ncpus: 1\nmemory: lots\n- a\n")
    result = sbi_config("check")
    assert (result.exit_code, result.stderr) == (
        2, f"{file}:4: this is not YAML: expected <block end>, but found '-'.\nMend it: {file}\n")
    file.write_text("memroy: 1g\ncpus: 1\n\nmemory: lots\nmemory: 1g\nenv: !x 1\n")
    result = sbi_config("check")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{file}:1: Unknown setting 'memroy'.", "Did you mean 'memory'?",
        f"{file}:4: memory: 'lots' is not a size; write it like 512m or 1g.", "For example: memory: 512m",
        f"{file}:5: 'memory' stands in line 4 already.", "Take one of them away.",
        f"{file}:6: tags like '!x' are not taken here.", "Write the value alone.",
    ]


def test_check_takes_a_file_by_path_or_by_name(file: Path, folder: Path) -> None:
    file.with_name("work.yaml").write_text("pids: 9\n")
    (folder / "mine.yaml").write_text("pids: nine\n")
    assert sbi_config("check", "work.yaml").stdout == f"{file.with_name('work.yaml')} is right.\n"
    assert sbi_config("check", "mine.yaml").exit_code == 2
    assert sbi_config("check", "--config-file", "./mine.yaml").exit_code == 2
    assert isinstance(sbi_config("check", "nowhere").exception, ConfigError)


def test_check_looks_at_the_environment_and_the_project_too(file: Path, folder: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("pids: 99\n")
    (folder / ".sbi.yaml").write_text("pids: 100\n")
    monkeypatch.setenv("SBI_CPUS", "many")
    result = sbi_config("check")
    assert result.exit_code == 2
    assert "SBI_CPUS: 'many'" in result.stderr
    refusal = f"{folder}/.sbi.yaml:1: pids: this file may only lower it until you trust it; without it, 99 is in force."
    assert refusal in result.stderr
    assert result.stdout == f"{file} is right.\n"
    assert "may only lower it" in sbi_config("check", str(folder / ".sbi.yaml")).stderr


def test_check_tells_of_places_that_contradict_each_other(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("max_tokens: 100\n")
    monkeypatch.setenv("SBI_CONTEXT_WINDOW", "50")
    assert "must be smaller" in str(sbi_config("check").exception)


def test_check_names_keys_of_open_interpreter_that_do_nothing(file: Path) -> None:
    file.write_text("llm:\n  model: gpt-4\ndisable_telemetry: true\n")
    result = sbi_config("check")
    assert result.exit_code == 0
    assert f"{file}:3: disable_telemetry is of no effect here: nothing is sent" in result.stderr


def test_without_a_terminal_edit_prints_the_path_of_a_file_made_from_the_defaults() -> None:
    result = sbi_config("edit")
    path = Path(result.stdout.strip())
    assert path == config_folder() / "config.yaml"
    assert config.load() == Settings()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_file_made_from_the_defaults_lists_every_setting_and_changes_none(file: Path) -> None:
    settings = [line[1:] for line in describe.new_file().splitlines() if line.startswith("#") and line[1:2].isalpha()]
    assert [line.partition(":")[0] for line in settings] == list(FIELDS)
    file.write_text("\n".join(settings))
    assert config.load() == Settings()
    assert {found.layer for found in config.resolve().found.values()} == {"user"}


def test_edit_opens_the_named_file_in_the_editor_and_checks_what_was_written(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\necho "$1" >> "$2"\n')
    editor.chmod(0o755)
    on_a_terminal(monkeypatch, f"'{editor}' 'pids: 77'")
    command.edit("work.yaml")
    assert config.load(file=config_folder() / "work.yaml").pids == 77
    on_a_terminal(monkeypatch, f"'{editor}' 'cpus: none'")
    with pytest.raises(ConfigError):
        command.edit("work.yaml")


@pytest.mark.parametrize("editor", ["/nonexistent/editor", "false", "'unbalanced"])
def test_an_editor_that_fails_is_named(editor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_a_terminal(monkeypatch, editor)
    with pytest.raises(ConfigError, match="editor"):
        command.edit()


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").touch()
    monkeypatch.setenv("SBI_CONFIG_DIR", str(tmp_path / "plain" / "below"))
    with pytest.raises(ConfigError, match="Cannot create"):
        command.edit()


def test_trust_prints_what_it_lets_in_and_untrust_takes_it_back(folder: Path) -> None:
    file = folder / ".sbi.yaml"
    file.write_text("network: full\napi_key: hunter2\n")
    (folder / "below").mkdir()
    for named in ([], [str(file)], [str(folder)], ["below/.."]):
        with pytest.raises(ConfigError, match="until you trust it"):
            config.load()
        result = sbi_config("trust", *named)
        assert result.stdout.splitlines() == [
            f"Trusted as it is now: {file}", f"  network: full  # {file}:1",
            f"  # api_key: (set, not shown)  # {file}:2"]
        assert config.load().network == "full"
        assert sbi_config("untrust", *named).stdout == f"Not trusted any more: {file}\n"
    assert sbi_config("untrust").stdout == f"It was not trusted: {file}\n"


def test_trust_can_be_taken_back_when_the_file_is_gone(folder: Path) -> None:
    file = folder / ".sbi.yaml"
    file.write_text("network: full\n")
    sbi_config("trust")
    file.unlink()
    assert sbi_config("untrust", str(file)).stdout == f"Not trusted any more: {file}\n"


@pytest.mark.parametrize(("words", "said"), [
    (["trust"], r"There is no \.sbi\.yaml here or above"), (["untrust"], r"There is no \.sbi\.yaml"),
    (["trust", "config.yaml"], r"that is called \.sbi\.yaml"), (["trust", "."], "Cannot read"),
])
def test_trust_needs_a_projects_file(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        raise sbi_config(*words).exception or AssertionError


def test_a_file_that_is_wrong_cannot_be_trusted(folder: Path) -> None:
    (folder / ".sbi.yaml").write_text("network: full\nnetwrok: full\n")
    assert "Unknown setting 'netwrok'" in str(sbi_config("trust").exception)
    assert not (config_folder() / "trusted.json").exists()
