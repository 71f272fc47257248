from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from sandbox_interpreter import prompts
from sandbox_interpreter.approval import Approval
from sandbox_interpreter.attributes import Attributes, Setting
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ConfigError, ModelNotConfigured, UsageError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import Chunk, fold
from sandbox_interpreter.models import choose
from sandbox_interpreter.models.base import Model
from sandbox_interpreter.workbench import Workbench
from tests.support.fakes import ReplayBench, ReplayModel, block, text

Make = Callable[..., Interpreter]
TURNS = [{"text": "One.", "code": "x = 2"}, {"text": "Set."}, {"code": "x"}, {"text": "Two."}]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Give a function that makes an interpreter with a scripted model and no sandbox."""
    def make_one(turns: list[dict[str, str]] = TURNS, **given: Any) -> Interpreter:
        script = tmp_path / f"script{len(list(tmp_path.iterdir()))}.yaml"
        script.write_text(yaml.safe_dump({"turns": turns}))
        interpreter = Interpreter(model=f"scripted:{script}", **given)
        interpreter.workbench = cast(Workbench, ReplayBench())
        return interpreter

    return make_one


def bench_of(interpreter: Interpreter) -> ReplayBench:
    return cast(ReplayBench, interpreter.workbench)


def contents(interpreter: Interpreter) -> list[str]:
    return [message["content"] for message in interpreter.messages]


# --- chat ---


def test_chat_returns_all_messages_and_a_second_chat_remembers(make: Make) -> None:
    interpreter = make(auto_run=True)
    first = interpreter.chat("Set x.", display=False)
    assert [message["content"] for message in first] == ["Set x.", "One.", "x = 2", "ran x = 2\n", "Set."]
    second = interpreter.chat("Show x.", display=False)
    assert second[:5] == first
    assert [message["content"] for message in second[5:]] == ["Show x.", "x", "ran x\n", "Two."]
    assert json.loads(json.dumps(second)) == second


def test_what_chat_returned_stays_as_it_was(make: Make) -> None:
    interpreter = make(auto_run=True)
    first = interpreter.chat("a", display=False)
    interpreter.chat("b", display=False)
    interpreter.messages[0]["content"] = "changed"
    assert len(first) == 5
    assert first[0]["content"] == "a"


def test_a_conversation_is_resumed_by_assigning_its_messages(make: Make) -> None:
    interpreter = make(auto_run=True)
    kept = interpreter.chat("a", display=False)
    interpreter.reset()
    assert interpreter.messages == []
    interpreter.messages = kept
    assert interpreter.chat("b", display=False)[:5] == kept


def test_a_stream_is_lazy_and_prints_nothing(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    interpreter = make(auto_run=True)
    chunks = interpreter.chat("a", display=False, stream=True)
    assert isinstance(chunks, Generator)
    assert interpreter.messages == []
    assert fold(chunks) == interpreter.messages[1:]
    assert capsys.readouterr() == ("", "")


def test_a_stream_displays_unless_told_not_to(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(make(auto_run=True).chat("a", stream=True))) > 5
    shown = capsys.readouterr().out
    assert "One." in shown
    assert "ran x = 2" in shown


def test_chat_displays_unless_told_not_to(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    make(auto_run=True).chat("a")
    assert "Set." in capsys.readouterr().out


@pytest.mark.parametrize("prompt", [{"content": "Hi."}, {"role": "user", "type": "message", "content": "Hi."}, "Hi."])
def test_a_message_may_be_a_text_or_a_dict(make: Make, prompt: Any) -> None:
    interpreter = make([{"text": "Hello."}])
    assert interpreter.chat(prompt, display=False) == [
        {"role": "user", "type": "message", "content": "Hi."},
        {"role": "assistant", "type": "message", "content": "Hello."}]


def test_a_list_of_messages_replaces_the_conversation(make: Make) -> None:
    interpreter = make([{"text": "Hello."}])
    interpreter.messages = [{"content": "old"}]
    mine = [{"role": "user", "content": "new"}]
    interpreter.chat(mine, display=False)
    assert contents(interpreter) == ["new", "Hello."]
    assert mine == [{"role": "user", "content": "new"}]


@pytest.mark.parametrize("prompt", [
    {"role": "nobody", "content": "a"}, {"content": 1}, {}, {"type": "confirmation", "content": "a"},
    [{"content": None}], {"content": "a", "format": 1}, 5, b"a", [1], ("a",), [["a"]],
])
def test_a_malformed_message_is_refused_and_nothing_is_lost(make: Make, prompt: Any) -> None:
    interpreter = make()
    interpreter.messages = [{"content": "kept"}]
    with pytest.raises(UsageError) as caught:
        interpreter.chat(prompt, display=False)
    assert caught.value.next_step
    assert contents(interpreter) == ["kept"]


@pytest.mark.parametrize("prompt", ["", " \n", []])
def test_an_empty_message_is_refused_and_nothing_is_lost(make: Make, prompt: Any) -> None:
    interpreter = make()
    interpreter.messages = [{"content": "kept"}]
    with pytest.raises(UsageError, match="empty"):
        interpreter.chat(prompt, display=False)
    assert contents(interpreter) == ["kept"]


def test_a_message_that_is_appended_without_a_type_is_prose(make: Make) -> None:
    interpreter = make([{"text": "Hello."}])
    interpreter.messages.append(cast(Any, {"role": "assistant", "content": "mine"}))
    messages = interpreter.chat("a", display=False)
    assert messages[0] == {"role": "assistant", "type": "message", "content": "mine"}


def test_a_message_that_is_none_and_was_appended_is_refused_and_nothing_is_asked(make: Make) -> None:
    interpreter = make([{"text": "Hello."}])
    interpreter.messages.append(cast(Any, {"role": "assistant"}))
    with pytest.raises(UsageError, match="content"):
        interpreter.chat("a", display=False)
    assert interpreter.messages == [{"role": "assistant"}]


@pytest.mark.parametrize("value", [None, 5, "a", {"content": "a"}, [5]])
def test_messages_that_are_none_are_refused_and_nothing_is_lost(make: Make, value: Any) -> None:
    interpreter = make()
    interpreter.messages = [{"content": "kept"}]
    with pytest.raises(UsageError) as caught:
        interpreter.messages = value
    assert caught.value.next_step
    assert contents(interpreter) == ["kept"]


@pytest.mark.parametrize("how", [{"display": False}, {"stream": True}])
def test_chat_without_a_message_needs_a_terminal(make: Make, how: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="without a message"):
        make().chat(None, **how)


# --- approval ---


def test_without_anybody_to_ask_the_code_does_not_run(make: Make) -> None:
    interpreter = make()
    messages = interpreter.chat("a", display=False)
    assert bench_of(interpreter).ran == []
    assert bench_of(interpreter).prepared == 0
    assert any("nobody to ask" in message["content"] for message in messages)


def test_displayed_where_nobody_sits_at_a_terminal_the_code_does_not_run(make: Make) -> None:
    interpreter = make()
    interpreter.chat("a")
    assert bench_of(interpreter).ran == []


@pytest.mark.parametrize("run", [True, False])
def test_a_program_may_approve(make: Make, run: bool) -> None:
    interpreter = make(approve=lambda _: Approval(run=run))
    interpreter.chat("a", display=False)
    assert bench_of(interpreter).ran == ([("python", "x = 2")] if run else [])


@pytest.mark.parametrize("run", [True, False])
def test_a_program_may_just_say_yes_or_no(make: Make, run: bool) -> None:
    interpreter = make(approve=lambda _: run)
    interpreter.chat("a", display=False)
    assert bench_of(interpreter).ran == ([("python", "x = 2")] if run else [])


@pytest.mark.parametrize("answer", [None, "y", 1])
def test_an_answer_that_is_neither_yes_nor_no_is_refused_and_nothing_runs(make: Make, answer: Any) -> None:
    interpreter = make(approve=lambda _: answer)
    with pytest.raises(UsageError, match="neither yes nor no"):
        interpreter.chat("a", display=False)
    assert bench_of(interpreter).ran == []
    assert contents(interpreter) == ["a", "One.", "x = 2"]


def test_auto_run_can_be_switched_between_turns(make: Make) -> None:
    interpreter = make()
    interpreter.chat("a", display=False)
    interpreter.auto_run = True
    interpreter.chat("b", display=False)
    assert bench_of(interpreter).ran == [("python", "x")]
    assert bench_of(interpreter).prepared == 1


# --- what can go wrong ---


def test_an_error_keeps_the_users_message(make: Make) -> None:
    interpreter = make()
    interpreter.model = "scripted:/nowhere.yaml"
    with pytest.raises(ModelNotConfigured):
        interpreter.chat("a", display=False)
    assert contents(interpreter) == ["a"]


def test_abandoning_a_stream_stops_the_run(make: Make) -> None:
    interpreter = make(auto_run=True)
    for chunk in interpreter.chat("a", display=False, stream=True):
        if chunk["type"] == "console":
            break
    assert bench_of(interpreter).interrupted == 1
    assert [message["type"] for message in interpreter.messages] == ["message", "message", "code", "console"]


def test_a_new_chat_stops_one_that_somebody_still_holds(make: Make) -> None:
    interpreter = make(auto_run=True)
    held = interpreter.chat("a", display=False, stream=True)
    next(chunk for chunk in held if chunk["type"] == "console")
    interpreter.chat("b", display=False)
    assert bench_of(interpreter).interrupted == 1
    assert list(held) == []


def test_two_threads_cannot_chat_at_once(make: Make) -> None:
    asked, answered = threading.Event(), threading.Event()

    def wait(_: object) -> Approval:
        asked.set()
        answered.wait(10)
        return Approval(run=False)

    interpreter = make(approve=wait)
    other = threading.Thread(target=interpreter.chat, args=("a", False))
    other.start()
    assert asked.wait(10)
    with pytest.raises(UsageError, match="in the middle of an answer"):
        interpreter.chat("b", display=False)
    answered.set()
    other.join(10)
    assert contents(interpreter)[0] == "a"
    assert contents(interpreter)[-1] == "Set."


# --- settings ---


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


# --- life ---


def test_reset_forgets_conversation_and_state_but_not_settings(make: Make) -> None:
    interpreter = make(auto_run=True, temperature=0.7)
    interpreter.chat("a", display=False)
    interpreter.reset()
    assert interpreter.messages == []
    assert bench_of(interpreter).resets == 1
    assert interpreter.temperature == 0.7
    assert interpreter.chat("a", display=False)[1]["content"] == "One."


def test_leaving_the_context_closes_the_sandbox_and_keeps_the_conversation(make: Make) -> None:
    interpreter = make(auto_run=True)
    with interpreter:
        interpreter.chat("a", display=False)
    assert bench_of(interpreter).closed == 1
    assert len(interpreter.messages) == 5


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
