from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.models.base import BrokenOff, CodeDelta, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.spelled import recognised
from tests.support.events import codes, cut_up, joined

CALL = '{"language": "shell", "code": "echo \\"}\\"\\nls"}'
CODE = 'echo "}"\nls'


def recognise(*texts: str) -> list[ModelEvent]:
    return joined(recognised([TextDelta(text) for text in texts]))


@pytest.mark.parametrize("text", [
    CALL, f"\n{CALL}\n", f"functions.execute({CALL})", f"execute( {CALL} )", f"```json\n{CALL}\n```",
    f"<tool_call>\n{CALL}\n</tool_call>", f'{{"name": "execute", "arguments": {CALL}}}',
    f'<tool_call>{{"name": "functions.execute", "parameters": {CALL}}}</tool_call>',
    "{language: 'shell', code: 'echo \"}\"\\nls'}",
])
def test_an_answer_that_is_the_text_of_a_call_is_that_call_wherever_it_is_cut(text: str) -> None:
    for at in range(len(text) + 1):
        assert codes(recognise(text[:at], text[at:])) == [("shell", CODE)]
    assert recognise(*text)[-1] == CodeEnd()


def test_without_a_language_it_is_python() -> None:
    assert codes(recognise('{"code": "10+12"}')) == [("python", "10+12")]


@pytest.mark.parametrize("text", [
    "", "{", "Hello.", "{}", '{"language": "python"}', '{"name": "Ada", "age": 36}', f"For example: {CALL}",
    f"{CALL}\nThat is how it is called.", '{"code": "a", "price": "b"}', "execute it", "functions.execute(x)",
    "```json\n{\"name\": 1}\n```", json.dumps({"name": "executed", "by": "whom"}),
])
def test_other_prose_is_unchanged(text: str) -> None:
    assert joined(recognise(*text)) == joined([TextDelta(text)] if text else [])


def test_other_prose_passes_at_once() -> None:
    for first in ("Hello", '{"name": "A', "executed", "```json\n{\"rows\""):
        events = recognised(iter([TextDelta(first), TextDelta(" and more")]))
        assert next(events) == TextDelta(first)


def test_what_comes_behind_a_beginning_leaves_it_prose() -> None:
    broken = BrokenOff("It broke.", again=True)
    assert list(recognised([TextDelta('{"code": "'), broken, TextDelta("1")])) == [
        TextDelta('{"code": "'), broken, TextDelta("1")]
    assert list(recognised([TextDelta("{"), CodeDelta("python", "1"), CodeEnd()])) == [
        TextDelta("{"), CodeDelta("python", "1"), CodeEnd()]


FRAGMENTS = ["execute(", "functions.", "{", "}", '"code"', '"language"', ":", '"', ")", "x", "\n", " ", "```json"]


@given(cut_up(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)))
def test_where_prose_is_cut_makes_no_difference(cut: tuple[str, list[str]]) -> None:
    text, pieces = cut
    assert recognise(*pieces) == recognise(text)
