from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_interpreter.models.answer import AnswerReader, CallDelta
from sandbox_interpreter.models.base import BrokenOff, CodeDelta, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.tool_calls import NAME, tool
from tests.support.events import codes, joined, prose

ARGUMENTS = '{"language": "python", "code": "print(1)"}'


def call(arguments: str, *, name: str = "execute", index: int = 0, identity: str = "a",
         size: int = 3) -> list[CallDelta]:
    pieces = [arguments[at:at + size] for at in range(0, len(arguments), size)] or [""]
    return [CallDelta(index, identity if at == 0 else "", name if at == 0 else "", piece)
            for at, piece in enumerate(pieces)]


def stream(reader: AnswerReader, *parts: str | list[CallDelta]) -> Iterator[ModelEvent]:
    for part in parts:
        if isinstance(part, str):
            yield from reader.text(part)
        else:
            for delta in part:
                yield from reader.call(delta)


def read(*parts: str | list[CallDelta], fences: bool = False, cut_off: str = "") -> list[ModelEvent]:
    reader = AnswerReader(fences=fences)
    return joined([*stream(reader, *parts), *reader.finish(cut_off=cut_off)])


@pytest.mark.parametrize(("name", "arguments", "block"), [
    ("execute", ARGUMENTS, ("python", "print(1)")),
    ("execute", '{"code": "ls", "language": "shell"}', ("shell", "ls")),
    ("execute", '{"code": "print(1)"}', ("python", "print(1)")),
    ("execute", "print(1)", ("python", "print(1)")),
    ("execute", "", ("python", "")),
    ("execute", '{"language": "shell"}', ("shell", "")),
    ("python", "print(1)", ("python", "print(1)")),
    ("python", "  {1, 2}", ("python", "  {1, 2}")),
    ("python", '{"code": "print(1)"}', ("python", "print(1)")),
    ("python", '"print(1)"', ("python", "print(1)")),
    ("python", '"""doc"""\nx', ("python", '"""doc"""\nx')),
    ("functions.bash", "ls", ("shell", "ls")),
    ("execute", '{"code": "a", "language": "python"}{"code": "b", "language": "python"}', ("python", "a\nb")),
])
def test_a_call_is_one_block(name: str, arguments: str, block: tuple[str, str]) -> None:
    for size in (1, 2, 5, 1000):
        assert codes(read(call(arguments, name=name, size=size))) == [block]


def test_code_comes_as_it_is_written() -> None:
    reader = AnswerReader(fences=False)
    events = stream(reader, [CallDelta(0, "a", "execute", '{"language": "python", "code": "pri')])
    assert list(events) == [CodeDelta("python", "pri")]


def test_the_first_block_ends_when_the_answer_does_and_the_others_follow() -> None:
    reader = AnswerReader(fences=False)
    live = joined(stream(reader, "Two. ", call('{"language": "python", "code": "1"}'),
                         call('{"language": "python", "code": "2"}', index=1, identity="b"), "Done."))
    assert live == [TextDelta("Two. "), CodeDelta("python", "1")]
    assert joined(reader.finish()) == [CodeEnd(), CodeDelta("python", "2"), CodeEnd(), TextDelta("Done.")]


def test_calls_are_told_apart_by_id_where_the_index_is_always_zero() -> None:
    assert codes(read(call(ARGUMENTS, identity="a"), call(ARGUMENTS, identity="b"))) == [("python", "print(1)")] * 2


def test_a_name_and_id_that_are_sent_with_every_piece_begin_no_new_call() -> None:
    repeated = [CallDelta(0, "a", "execute", piece) for piece in ARGUMENTS]
    assert codes(read(repeated)) == [("python", "print(1)")]


def test_with_fences_the_answer_is_done_behind_the_first_block() -> None:
    reader = AnswerReader(fences=True)
    events = list(stream(reader, "See:\n```python\nprint(1)\n```\nIt prints 2.\n```python\nx\n```"))
    assert reader.done
    events += reader.finish()
    assert codes(events) == [("python", "print(1)")]
    assert prose(events) == "See:\n"


def test_without_fences_a_fenced_block_is_prose() -> None:
    text = "For example:\n```python\nprint(1)\n```"
    assert read(text) == [TextDelta(text)]


def test_a_call_is_understood_also_where_none_was_offered() -> None:
    assert read("Well. ", call(ARGUMENTS), fences=True) == [
        TextDelta("Well. "), CodeDelta("python", "print(1)"), CodeEnd()]


def test_a_call_behind_a_fenced_block_waits_for_its_output() -> None:
    assert codes(read("```python\nx", call(ARGUMENTS), fences=True)) == [("python", "x")]


@pytest.mark.parametrize("fences", [False, True])
def test_an_answer_that_is_cut_off_never_ends_its_block(fences: bool) -> None:
    part: str | list[CallDelta] = "```python\nprint(1)" if fences else call(ARGUMENTS[:-2])
    assert read(part, fences=fences, cut_off="Too long.") == [
        CodeDelta("python", "print(1)"), BrokenOff("Too long.", again=False)]


def test_blocks_before_the_one_that_is_cut_off_are_whole() -> None:
    events = read(call(ARGUMENTS), call('{"language": "python", "code": "pri', index=1), cut_off="Too long.")
    assert events == [CodeDelta("python", "print(1)"), CodeEnd(), CodeDelta("python", "pri"),
                      BrokenOff("Too long.", again=False)]


@pytest.mark.parametrize(("parts", "fences", "whole"), [
    ([], False, False),
    (["Hi."], False, True),
    ([call(ARGUMENTS)], False, True),
    ([call(ARGUMENTS[:-1])], False, False),
    ([call("print(1)", name="python")], False, True),
    (["```python\nx"], True, False),
    (["```python\nx\n```\n"], True, True),
])
def test_whether_an_answer_could_end_here(parts: list[str | list[CallDelta]], fences: bool, whole: bool) -> None:
    reader = AnswerReader(fences=fences)
    list(stream(reader, *parts))
    assert (reader.whole or reader.done) == whole


def test_the_one_tool_names_every_language() -> None:
    function = tool()["function"]
    assert function["name"] == NAME
    assert function["parameters"]["properties"]["language"]["enum"][:2] == ["python", "shell"]
