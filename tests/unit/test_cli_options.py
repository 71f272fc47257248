from __future__ import annotations

import os
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from sandbox_interpreter.cli.options import SANDBOX_FLAGS, SandboxOptions, chosen, sandbox_options
from sandbox_interpreter.config import Settings, config_folder
from sandbox_interpreter.errors import ConfigError, UsageError


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("SBI_") and name not in ("SBI_CONFIG_DIR", "SBI_DATA_DIR"):
            monkeypatch.delenv(name)


def settings(**given: Any) -> Settings:
    return SandboxOptions(given).settings()


def test_every_sandbox_flag_is_a_setting_of_the_same_name() -> None:
    names = [flag.name for flag in SANDBOX_FLAGS]
    assert all(hasattr(Settings(), name) for name in names)
    assert names == ["image", "workspace", "network", "memory", "cpus", "pids", "timeout", "disk", "idle", "env",
                     "env_file", "secret", "engine", "runtime", "artifact", "out"]


def test_flags_win_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    config_folder().mkdir(parents=True)
    (config_folder() / "config.yaml").write_text("memory: 100m\npids: 50\ncpus: 1\nsecret: [A, B]\nenv: {K: v}\n")
    monkeypatch.setenv("SBI_MEMORY", "200m")
    monkeypatch.setenv("SBI_PIDS", "60")
    monkeypatch.setenv("SBI_SECRET", "C, D")
    found = settings(memory="300m", artifact=["*.png"], out="x")
    assert (found.memory, found.pids, found.cpus) == (300 * 1024**2, 60, 1.0)
    assert (found.secret, found.env, found.artifact) == (("C", "D"), ("K=v",), ("*.png",))


@pytest.mark.parametrize(("name", "value", "reason", "example"), [
    ("memory", "lots", "'lots' is not a size", "--memory 512m"),
    ("memory", "", "'' is not a size", "--memory 512m"),
    ("memory", "-1g", "'-1g' is not a size", "--memory 512m"),
    ("memory", "512", "too small; the least is 6m", "--memory 512m"),
    ("memory", "99999t", "too much; the most is 1024t", "--memory 512m"),
    ("cpus", "two", "'two' is not a number", "--cpus 1.5"),
    ("cpus", "0", "too small", "--cpus 1.5"),
    ("cpus", "nan", "not a number", "--cpus 1.5"),
    ("cpus", "inf", "not a number", "--cpus 1.5"),
    ("pids", "1.5", "'1.5' is not a whole number", "--pids 128"),
    ("pids", "7", "too small; the least is 8", "--pids 128"),
    ("pids", "1" + "0" * 30, "too much", "--pids 128"),
    ("timeout", "soon", "'soon' is not a number", "--timeout 60"),
    ("timeout", "-1", "too small; the least is 0", "--timeout 60"),
    ("idle", "0", "too small; the least is 1", "--idle 600"),
    ("network", "some", "'some' is not possible; what is: none, full, packages, ask, and hosts like", "--network"),
])
def test_a_malformed_limit_names_the_flag_what_was_given_and_an_example(name: str, value: str, reason: str,
                                                                        example: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**{name: value})
    assert str(caught.value).startswith(f"--{name}: ")
    assert reason in str(caught.value)
    assert example in caught.value.next_step
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("given", "reason"), [
    ({"artifact": ["*.png"]}, "not where to"),
    ({"artifact": ["/etc/passwd"], "out": "x"}, "does not name files in /workspace"),
    ({"artifact": ["../x"], "out": "x"}, "does not name files in /workspace"),
    ({"artifact": [""], "out": "x"}, "does not name files in /workspace"),
])
def test_artifacts_need_a_place_and_a_pattern_inside(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        settings(**given)


def test_a_typer_command_gets_all_flags_together() -> None:
    app, seen = typer.Typer(), []

    @sandbox_options
    def command(prompt: Annotated[str | None, typer.Argument()] = None, *, sandbox: SandboxOptions,
                fast: Annotated[bool, typer.Option("--fast")] = False) -> None:
        seen.append((prompt, fast, dict(sandbox.given)))

    app.command()(command)
    result = CliRunner().invoke(app, ["--fast", "-w", ".", "hello", "--env", "A=1", "--env", "B=2", "--memory", "1g"])
    assert result.exit_code == 0, result.output
    assert seen == [("hello", True, {"workspace": ".", "env": ["A=1", "B=2"], "memory": "1g"})]


def test_options_are_picked_out_of_a_commands_values() -> None:
    values: dict[str, Any] = {"image": None, "env": [], "memory": "", "model": "x", "out": "o"}
    assert chosen(values).given == {"memory": "", "out": "o"}
