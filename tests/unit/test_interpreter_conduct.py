"""No code runs that nobody said yes to, and what is broken off, reset or left is stopped, with nothing lost."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.errors import ModelNotConfigured, UsageError
from tests.support.interpreters import Make, bench_of, contents, maker


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return maker(tmp_path)


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
