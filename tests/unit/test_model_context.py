"""What of a conversation is sent where the model reads less than all of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.errors import ModelUnavailable
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import client, tokens
from sandbox_interpreter.models.composer import Composer
from sandbox_interpreter.models.gallery import Gallery
from sandbox_interpreter.models.litellm_model import LiteLLMModel
from sandbox_interpreter.models.request import Entry, Form
from tests.support.pictures import base64_png

SYSTEM = "You write code."


def said(role: Any, content: str, kind: Any = "message", form: str = "") -> Message:
    message: Message = {"role": role, "type": kind, "content": content}
    if form:
        message["format"] = form
    return message


def turn(number: int, *, size: int = 200) -> list[Message]:
    """Return a question, a run, its output, and the answer, each of about so many characters."""
    words = "word " * (size // 5)
    return [said("user", f"question {number} {words}"), said("assistant", f"x = {number}  # {words}", "code", "python"),
            said("computer", f"output {number} {words}", "console", "output"),
            said("assistant", f"answer {number} {words}")]


def composer(window: int | None, *, tools: bool = True, sees: bool = False, max_tokens: int | None = 100) -> Composer:
    return Composer(Form(tools, 8000, Gallery(lambda: sees)), window, max_tokens, tokens.roughly)


def texts(entries: Sequence[Entry]) -> str:
    return json.dumps(entries, ensure_ascii=False)


def check_pairs(entries: Sequence[Entry]) -> None:
    """See that each call has its one result right behind it, and that each result has its call."""
    for at, entry in enumerate(entries):
        if entry.get("tool_calls"):
            [call] = entry["tool_calls"]
            assert json.loads(call["function"]["arguments"]).keys() == {"language", "code"}
            assert entries[at + 1]["tool_call_id"] == call["id"]
        if entry["role"] == "tool":
            assert entries[at - 1]["tool_calls"][0]["id"] == entry["tool_call_id"]


def test_what_fits_is_sent_whole() -> None:
    messages = [message for number in range(5) for message in turn(number)]
    assert composer(100_000).compose(messages, system=SYSTEM) == composer(None).compose(messages, system=SYSTEM)


def test_the_newest_that_fit_are_sent_and_the_gap_is_told() -> None:
    messages = [message for number in range(50) for message in turn(number)]
    entries = composer(3000).compose(messages, system=SYSTEM)
    sent = [number for number in range(50) if f"question {number} " in texts(entries)]
    assert sent
    assert sent == list(range(sent[0], 50))
    assert entries[0] == {"role": "system", "content": SYSTEM}
    assert "earlier messages are left out here" in entries[1]["content"]
    assert 2000 < composer(3000).tokens(entries) < 3000 - 100


@pytest.mark.parametrize("tools", [True, False])
def test_images_and_long_outputs_never_push_the_system_message_or_the_last_user_message_out(tools: bool) -> None:
    picture = said("computer", base64_png(), "image", "base64.png")
    messages = [*turn(1), said("user", "Plot the rainfall.")]
    for number in range(40):
        messages += [said("assistant", f"plot({number})", "code", "python"),
                     said("computer", "noise " * 1300, "console", "output"), picture, picture]
    entries = composer(6000, tools=tools, sees=True).compose(messages, system=SYSTEM)
    assert entries[0]["content"].startswith(SYSTEM)
    assert "Plot the rainfall." in texts(entries)
    assert "plot(39)" in texts(entries)
    assert composer(6000, tools=tools).tokens(entries) <= 6000 - 100
    check_pairs(entries)


def test_a_last_message_that_is_too_long_itself_keeps_its_head_and_its_tail() -> None:
    messages = [*turn(1), said("user", "Begin." + "x " * 50_000 + "End.")]
    entries = composer(2000).compose(messages, system=SYSTEM)
    assert entries[-1]["content"].startswith("Begin.")
    assert entries[-1]["content"].endswith("End.")
    assert "characters are left out here" in entries[-1]["content"]


def test_a_run_that_is_too_long_keeps_its_pair() -> None:
    long = "x = 1\n" * 5000
    messages = [said("user", "Go."), said("assistant", long, "code", "python"),
                said("computer", long, "console", "output")]
    for tools in (True, False):
        entries = composer(2000, tools=tools).compose(messages, system=SYSTEM)
        check_pairs(entries)
        assert len(entries) == 4
        assert texts(entries).count("characters are left out here") >= 2
        assert composer(2000, tools=tools).tokens(entries) <= 1900


def test_without_room_for_a_conversation_there_is_an_error_that_says_so() -> None:
    with pytest.raises(ModelUnavailable, match=r"The model reads 500 tokens.* 0 are left") as caught:
        composer(500).compose(turn(1), system="word " * 2000)
    assert "context_window" in caught.value.next_step


def test_room_is_kept_for_the_answer() -> None:
    messages = [message for number in range(100) for message in turn(number)]
    for limit, most in ((1000, 1800), (None, 2250)):  # a quarter of the window where nobody has limited it
        entries = composer(3000, max_tokens=limit).compose(messages, system=SYSTEM)
        assert most - 400 < composer(3000).tokens(entries) <= most + 50


ANYTHING = st.lists(st.builds(
    said, st.sampled_from(["user", "assistant", "computer", "system"]), st.text(max_size=400),
    st.sampled_from(["message", "code", "console", "image"]), st.sampled_from(["", "python", "output", "base64.png"])),
    max_size=40)


@given(ANYTHING, st.integers(600, 3000), st.booleans())
def test_whatever_the_messages_are_pairs_stay_whole_and_it_fits(
        messages: list[Message], window: int, tools: bool) -> None:
    compose = composer(window, tools=tools)
    entries = compose.compose(messages, system=SYSTEM)
    check_pairs(entries)
    assert compose.tokens(entries) <= window - 100
    prompts = [message["content"] for message in messages if message["role"] == "user" and message["type"] == "message"]
    assert not prompts or any(str(entry["content"]).startswith(prompts[-1][:20]) for entry in entries)


def history(turns: int) -> list[Message]:
    return [message for number in range(turns) for message in turn(number, size=400)]


def test_many_texts_are_counted_once_each_and_none_is_left_out() -> None:
    asked: list[str] = []

    def count(model: str, text: str) -> int:
        asked.append(text)
        return len(text)

    entries: list[dict[str, Any]] = [
        {"role": "assistant", "content": "a" * size, "tool_calls": [{"function": {"arguments": "b" * size}}]}
        for size in range(300)]
    counter = tokens.Exact(count, "a model of this test")
    one_by_one = sum(tokens.of_entry(entry, len) for entry in entries)
    assert tokens.of_entries(entries, counter) == one_by_one
    assert tokens.of_entries(entries, counter) == one_by_one
    assert len(asked) == len(set(asked)) == 2 * 299


def test_a_conversation_is_counted_while_the_prompt_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    litellm, asked = client.load(), list[str]()
    count = litellm.token_counter

    def counting(*, model: str, text: str) -> int:
        asked.append(text)
        return int(count(model=model, text=text))

    monkeypatch.setattr(litellm, "token_counter", counting)
    model, messages = LiteLLMModel("openai/gpt-4.1"), history(50)
    model.prepare(messages)
    wait_for_loader()
    assert len(asked) >= len(messages)
    asked.clear()
    assert model.measure(messages, system="You code.") > 50 * 400 / 8
    assert asked == ["You code."]


def wait_for_loader() -> None:
    for thread in threading.enumerate():
        if thread.name == client.LOADER:
            thread.join()


def test_a_conversation_that_does_not_fit_is_no_error_before_it_is_sent() -> None:
    model = LiteLLMModel("openai/gpt-4.1", context_window=1)
    with pytest.raises(ModelUnavailable):
        model.measure(history(5), system="")
    model.prepare(history(5))
    wait_for_loader()  # pytest fails a test in one of whose threads an error was raised


def test_trimming_is_linear_in_the_history() -> None:
    short, long = history(500), history(4000)
    once = min(seconds_for(composer(50_000), short) for _ in range(3))
    assert min(seconds_for(composer(50_000), long) for _ in range(3)) < 16 * once + 0.05


def seconds_for(compose: Composer, messages: list[Message]) -> float:
    begun = time.process_time()  # of this process: other ones on the machine are no reason to fail
    compose.compose(messages, system=SYSTEM)
    return time.process_time() - begun
