"""A chat returns, streams or shows all that was said, and a message that is none costs nothing of it."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.messages import fold
from tests.support.interpreters import Make, contents, maker


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return maker(tmp_path)


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
