"""What an interpreter is set to holds from the next question on, for it alone, and what does not fit is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox_interpreter import prompts
from sandbox_interpreter.attributes import Attributes, Setting
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ConfigError, UsageError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import Chunk
from sandbox_interpreter.models import choose
from sandbox_interpreter.models.base import Model
from sandbox_interpreter.workbench import Workbench
from tests.support.fakes import ReplayBench, ReplayModel, block, text
from tests.support.interpreters import Make, bench_of, contents, maker


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return maker(tmp_path)


def test_attributes_are_settings(make: Make) -> None:
    interpreter = make()
    interpreter.temperature = 0.5
    interpreter.max_tokens = 100
    interpreter.api_base = "http://localhost:1234/v1"
    assert interpreter.settings.temperature == 0.5
    assert (interpreter.max_tokens, interpreter.api_base) == (100, "http://localhost:1234/v1")
    interpreter.api_base = None
    assert interpreter.settings.api_base is None


def test_the_page_names_every_attribute_that_is_a_setting() -> None:
    page = Path(__file__).parents[2].joinpath("docs/python-api.md").read_text("utf-8")
    named = page[page.index("as attributes, at any time"):].partition("A value\n")[0]
    there = {name for name, each in vars(Attributes).items() if isinstance(each, Setting)}
    assert set(re.findall(r"`(\w+)`", named)) == there


@pytest.mark.parametrize(("name", "value"), [("temperature", "hot"), ("max_output", 0), ("max_tokens", -1)])
def test_a_setting_that_does_not_fit_is_refused(make: Make, name: str, value: Any) -> None:
    with pytest.raises(ConfigError):
        setattr(make(), name, value)
    with pytest.raises(ConfigError):
        Interpreter(**{name: value})


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="auto_rum"):
        Interpreter(auto_rum=True)


def test_contradicting_settings_are_refused_before_the_model_is_asked(make: Make) -> None:
    interpreter = make()
    interpreter.max_tokens, interpreter.context_window = 3000, 1000
    with pytest.raises(ConfigError, match="smaller than context_window"):
        interpreter.chat("a", display=False)


def test_the_environment_sets_what_nobody_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBI_MODEL", "demo")
    assert Interpreter().model == "demo"
    assert Interpreter(model="openai/gpt-4o").model == "openai/gpt-4o"
    assert Interpreter(Settings()).model is None


def answers(*models: Model) -> Callable[..., Model]:
    left = list(models)
    return lambda *_, **__: left.pop(0)


def test_the_system_message_can_be_read_and_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ReplayModel([text("Yes."), text("Yes.")])
    monkeypatch.setattr(choose, "choose", answers(model, model))
    interpreter = Interpreter(Settings(network="none"))
    assert interpreter.system_message == prompts.SYSTEM_MESSAGE
    interpreter.chat("a", display=False)
    interpreter.system_message += "\nSpeak French."
    interpreter.chat("b", display=False)
    first, second = model.systems
    assert "Speak French." not in first
    assert "Speak French." in second
    assert "Network: none." in first
    assert "python" in first


def test_custom_instructions_are_added_to_what_the_model_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ReplayModel([text("Hello.")])
    monkeypatch.setattr(choose, "choose", answers(model))
    interpreter = Interpreter(system_message="You are Bob.", custom_instructions="Be brief.")
    interpreter.chat("hi", display=False)
    assert model.systems[0].startswith("You are Bob.\n\n")
    assert model.systems[0].endswith("\n\nBe brief.")


def test_extend_config_lays_a_file_over_the_settings_in_use(make: Make, tmp_path: Path) -> None:
    interpreter = make()
    in_use = interpreter.settings
    (tmp_path / "more.yaml").write_text("temperature: 0.5\nversion: 0.2.0\nmemory: 512m\n")
    with pytest.warns(UserWarning, match=r"more\.yaml:2: version is of no effect here"):
        interpreter.extend_config(config_path=str(tmp_path / "more.yaml"))
    assert (interpreter.temperature, in_use.memory) == (0.5, 512 * 1024**2)
    told: list[str] = []
    interpreter.notify = told.append
    interpreter.extend_config(tmp_path / "more.yaml")
    assert [notice.rpartition("/")[2].partition(" is ")[0] for notice in told] == ["more.yaml:2: version"]


def test_extend_config_names_the_nearest_known_key_and_changes_nothing(make: Make, tmp_path: Path) -> None:
    interpreter = make()
    (tmp_path / "more.yaml").write_text("temperature: 0.5\nmax_outptu: 10\n")
    with pytest.raises(ConfigError, match=r"more\.yaml:2: Unknown setting 'max_outptu'") as caught:
        interpreter.extend_config(tmp_path / "more.yaml")
    assert caught.value.next_step == "Did you mean 'max_output'?"
    assert interpreter.temperature == 0.0


@pytest.mark.parametrize("given", [{"network": "full"}, {"secrets": {"TOKEN": "x"}}, {"env": {"A": "1"}}])
def test_a_projects_image_gets_nothing_that_a_program_gives(given: dict[str, Any], tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".sbi.yaml").write_text("image: evil.example/image\n")
    monkeypatch.chdir(tmp_path)
    assert Interpreter().settings.image == "evil.example/image"
    with pytest.raises(ConfigError, match=r"\.sbi\.yaml:1: image"):
        Interpreter(**given)
    assert Interpreter(image="base", **given).settings.image == "base"


def test_four_interpreters_leak_nothing_into_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [ReplayModel([[*block(f"x = {number}")], text(f"Done {number}.")]) for number in range(4)]
    monkeypatch.setattr(choose, "choose", answers(*models))
    shared = Settings(auto_run=True)
    four = [Interpreter(shared) for _ in models]
    for number, interpreter in enumerate(four):
        interpreter.workbench = cast(Workbench, ReplayBench())
        interpreter.system_message = f"You are number {number}."
        interpreter.temperature = number / 10
    streams: list[Generator[Chunk, None, None]] = [
        interpreter.chat(f"Go {number}.", display=False, stream=True) for number, interpreter in enumerate(four)]
    for _ in range(40):  # all four in turn
        for stream in streams:
            next(stream, None)
    for number, interpreter in enumerate(four):
        assert contents(interpreter) == [f"Go {number}.", f"x = {number}", f"ran x = {number}\n", f"Done {number}."]
        assert models[number].systems[0].startswith(f"You are number {number}.")
        assert interpreter.temperature == number / 10
        assert bench_of(interpreter).ran == [("python", f"x = {number}")]
    assert shared == Settings(auto_run=True)


def test_making_one_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBI_DATA_DIR", str(tmp_path / "data"))
    with Interpreter(workspace="/nowhere", engine="tcp://127.0.0.1:9") as interpreter:
        assert not interpreter.interrupt()
        interpreter.reset()
    assert not (tmp_path / "data").exists()


def test_a_secret_that_is_missing_is_told_when_the_interpreter_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(UsageError, match="no such variable"):
        Interpreter(Settings(secret=("NOT_THERE",)))
