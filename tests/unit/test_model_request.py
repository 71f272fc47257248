from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.request import FENCES, Form, cut, fenced

TOOLS = Form(tools=True, max_output=1000)
FENCED = Form(tools=False, max_output=1000)


def said(role: str, content: str, kind: str = "message", form: str | None = None) -> Message:
    message: Any = {"role": role, "type": kind, "content": content}
    if form:
        message["format"] = form
    return message  # type: ignore[no-any-return]  # a message made of a test's words


def user(content: str) -> Message:
    return said("user", content)


def code(content: str, language: str = "python", role: str = "assistant") -> Message:
    return said(role, content, "code", language)


def output(content: str) -> Message:
    return said("computer", content, "console", "output")


PICTURE = said("computer", "iVBORw0KGgo=", "image", "base64.png")


def entries(*messages: Message, form: Form = TOOLS) -> list[dict[str, Any]]:
    return form.request(messages, system="System.")[1:]


def calls(entry: dict[str, Any]) -> list[dict[str, str]]:
    return [json.loads(call["function"]["arguments"]) for call in entry["tool_calls"]]


def test_the_system_message_comes_first_and_says_how_to_run_code_without_tools() -> None:
    assert TOOLS.request([], system="System.") == [{"role": "system", "content": "System."}]
    assert FENCED.request([], system="System.") == [{"role": "system", "content": f"System.\n\n{FENCES}"}]


def test_a_run_is_a_call_and_its_result() -> None:
    asked, told = entries(user("Go."), said("assistant", "I add."), code("1+1"), output("2\n"))[1:]
    assert (asked["role"], asked["content"]) == ("assistant", "I add.")
    assert calls(asked) == [{"language": "python", "code": "1+1"}]
    assert told == {"role": "tool", "tool_call_id": asked["tool_calls"][0]["id"], "content": "2"}


def test_a_run_is_a_block_and_its_output_without_tools() -> None:
    assert entries(said("assistant", "I add.\n"), code("1+1"), output("2\n"), form=FENCED) == [
        {"role": "assistant", "content": "I add.\n\n```python\n1+1\n```"},
        {"role": "user", "content": "The output of this block:\n\n```\n2\n```"}]


def test_call_identifiers_are_nine_letters_and_digits_and_differ() -> None:
    asked = [entry for entry in entries(code("1"), output(""), code("2")) if "tool_calls" in entry]
    made = [entry["tool_calls"][0]["id"] for entry in asked]
    assert len(set(made)) == 2
    assert all(len(each) == 9 and each.isalnum() for each in made)


@pytest.mark.parametrize(("outputs", "told"), [
    ([], "[no result: this block did not run, or was not followed to its end]"),
    ([output("")], "[the code ran and printed nothing]"),
    ([output("a\n"), PICTURE, output("b\n")], "a\n[a picture (png) was drawn and shown to the user]\nb"),
    ([output(""), PICTURE], "\n[a picture (png) was drawn and shown to the user]"),
    ([output("[not run: the user declined it]\n")], "[not run: the user declined it]"),
])
def test_what_the_model_is_told_of_a_run(outputs: list[Message], told: str) -> None:
    assert entries(code("x"), *outputs)[1]["content"] == told


def test_a_long_output_is_sent_with_head_and_tail_only() -> None:
    told = entries(code("x"), output("a" * 600 + "b" * 600))[1]["content"]
    assert told == "a" * 500 + "\n[… 200 of 1200 characters are left out here …]\n" + "b" * 500


def test_prose_behind_a_run_is_a_message_of_its_own() -> None:
    assert entries(code("1"), output("1"), said("assistant", "So."))[-1] == {"role": "assistant", "content": "So."}


def test_a_notice_is_marked_as_the_programs() -> None:
    assert entries(said("computer", "Stopped."))[0] == {
        "role": "user", "content": "[A note of the program, not of the user: Stopped.]"}


def test_code_of_the_user_and_its_output_are_told() -> None:
    told = entries(code("1"), output("[not run: changed]"), code("2", role="user"), output("two"))
    assert told[2:] == [{"role": "user", "content": (
        "The user ran this:\n\n```python\n2\n```\n\nIts output:\n\n```\ntwo\n```")}]
    assert entries(code("2", role="user"))[0]["content"] == "The user wrote this:\n\n```python\n2\n```"


def test_output_that_belongs_to_no_code_is_told() -> None:
    assert entries(user("Go."), output("x" * 2000))[1]["content"].startswith("x" * 500)
    assert entries(said("user", "iVBOR", "image", "base64.png"))[0]["content"] == \
        "[the user attached a picture (png) that you cannot see]"


def test_a_system_message_in_between_stays_one() -> None:
    assert entries(said("system", "New rules.")) == [{"role": "system", "content": "New rules."}]


def test_an_empty_answer_is_not_sent() -> None:
    assert entries(user("a"), said("assistant", ""), user("b")) == [
        {"role": "user", "content": "a"}, {"role": "user", "content": "b"}]


messages = st.lists(st.sampled_from([
    user("u"), said("assistant", "p"), said("assistant", ""), code("c"), code("c", role="user"), output("o"), PICTURE,
    said("computer", "n"), said("system", "s")]), max_size=12)


@given(messages, st.booleans())
def test_any_conversation_makes_a_valid_request(conversation: list[Message], tools: bool) -> None:
    open_call = None
    for entry in Form(tools, 100).request(conversation, system="s"):
        if entry["role"] == "tool":
            assert entry["tool_call_id"] == open_call
            open_call = None
            continue
        assert open_call is None, "a call without its result"
        assert entry["content"] or entry.get("tool_calls")
        if "tool_calls" in entry:
            open_call = entry["tool_calls"][0]["id"]
    assert open_call is None


@given(st.text(max_size=60), st.integers(1, 50))
def test_cutting_keeps_head_and_tail(words: str, limit: int) -> None:
    kept = cut(words, limit)
    if len(words) <= limit:
        assert kept == words
        return
    begin, end = limit - limit // 2, len(kept) - limit // 2
    assert words.startswith(kept[:begin])
    assert words.endswith(kept[end:])
    assert f"{len(words) - limit} of {len(words)}" in kept[begin:end]


def test_a_fence_is_longer_than_any_inside() -> None:
    assert fenced("a ````` b") == "``````\na ````` b\n``````"
