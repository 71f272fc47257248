from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.models.base import CodeDelta, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.markdown import TO_READ, FenceParser
from tests.support.events import codes, cut_up, joined, prose

FRAGMENTS = ["`", "``", "```", "````", "~~~", "~", "\n", "\n", " ", "    ", "\t", "\r", "python", "c++", "json",
             "x = 1", "`a`", "{.py}", "é😀", "> ", "- ", "title=x"]
markdown = st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)
plain_line = st.text(st.characters(exclude_characters="\n`~\r"), max_size=20)
plain_text = st.lists(plain_line, max_size=5).map("\n".join)


def parse(pieces: Iterable[str]) -> list[ModelEvent]:
    parser = FenceParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return joined([*events, *parser.finish()])


@given(cut_up(markdown))
def test_where_the_text_is_cut_makes_no_difference(cut: tuple[str, list[str]]) -> None:
    text, pieces = cut
    assert parse(pieces) == parse([text]) == parse(text)


@given(markdown)
def test_a_block_ends_once_behind_its_code_and_never_without(text: str) -> None:
    events = parse([text])
    for before, event in zip([None, *events], events, strict=False):
        assert isinstance(event, CodeEnd) == isinstance(before, CodeDelta)
    assert not events or not isinstance(events[-1], CodeDelta)


@given(plain_text)
def test_prose_without_fences_is_unchanged(text: str) -> None:
    assert prose(parse([text])) == text
    assert codes(parse([text])) == []


@given(plain_text, st.sampled_from(["python", "py", "c++", "c#", "shell-session", "R"]), plain_text, plain_text,
       st.sampled_from(["```", "````", "~~~", "~~~~~"]))
def test_code_between_fences_is_identical(before: str, language: str, code: str, after: str, fence: str) -> None:
    events = parse([f"{before}\n{fence}{language}\n{code}\n{fence}\n{after}"])
    assert codes(events) == ([(language, code)] if code else [])
    assert prose(events) == f"{before}\n{after}"


@pytest.mark.parametrize("at", range(40))
def test_one_block_split_at_any_character(at: int) -> None:
    text = "Hi.\n```python\nprint('é😀')\n```\nDone."
    assert codes(parse([text[:at], text[at:]])) == [("python", "print('é😀')")]


@pytest.mark.parametrize(("text", "code"), [
    ("```python\npython = 1\nprint(python)\n```", "python = 1\nprint(python)"),
    ("```python\n# use `ls` and ``x``\n```", "# use `ls` and ``x``"),
    ("```python\n\n  x\n\n```", "\n  x\n"),
    ("````python\n```\nnot a fence\n```\n````", "```\nnot a fence\n```"),
    ("~~~python\n```\n~~~", "```"),
    ('```python\ntext = """\n    ```\n    inner\n    ```\n"""\n```', 'text = """\n    ```\n    inner\n    ```\n"""'),
    ("```python\nx = '```'\n```", "x = '```'"),
    ("```python\nx = '''```\n```", "x = '''```"),
    ("  ```python\n  if x:\n    y\n  ```", "if x:\n  y"),
    ("1. First\n\n    ```python\n    x = 1\n    ```\n", "x = 1"),
    ("```python\r\nx = 1\r\n```\r\n", "x = 1\r"),
    ("```python\nx\n`````", "x"),
    ("```{.python .numberLines}\nx\n```", "x"),
    ("``` python title=\"a b\"\nx\n```", "x"),
])
def test_code_is_what_stands_between_the_fences(text: str, code: str) -> None:
    assert codes(parse([text])) == [("python", code)]


@pytest.mark.parametrize(("text", "code"), [
    ("```python\nx = 1", "x = 1"),
    ("```python\nx = 1\n", "x = 1"),
    ("```python\nx = 1\n``", "x = 1"),
    ("```python\nx = 1```", "x = 1"),
    ("```python\nx = 1 ``` ", "x = 1 "),
    ("```python\nx = 1```\n", "x = 1"),
    ("```python\nx = `ls`", "x = `ls`"),
    ("Run: ```python\nx = 1\n```", "x = 1"),
])
def test_a_sloppy_block_is_mended(text: str, code: str) -> None:
    assert codes(parse([text])) == [("python", code)]


@pytest.mark.parametrize("text", [
    "Use `print` and ``a`b`` here.", "```print(1)``` is how.", "A fence is ``` and\nends.", "a ~~struck~~ word",
    "```", "```python\n```\n", "~~", "Say ```python x``` there.\nAnd go on.",
])
def test_what_is_no_block_is_not_run(text: str) -> None:
    assert codes(parse([text])) == []


@pytest.mark.parametrize("language", sorted(TO_READ))
def test_a_block_of_data_stays_prose(language: str) -> None:
    text = f"Result:\n```{language}\nprint(1)\n```\nThere.\n```python\nx\n```"
    events = parse([text])
    assert codes(events) == [("python", "x")]
    assert prose(events) == text.removesuffix("```python\nx\n```")


def test_a_block_without_a_language_is_python() -> None:
    assert codes(parse(["```\nx\n```"])) == [("python", "x")]


def test_code_comes_as_it_is_written() -> None:
    parser = FenceParser()
    assert list(parser.feed("```python\nprint(")) == [CodeDelta("python", "print(")]
    assert list(parser.feed("1)")) == [CodeDelta("python", "1)")]
    assert list(parser.feed("\n")) == []
    assert parser.in_block
    assert list(parser.feed("```\nNow")) == [CodeEnd(), TextDelta("Now")]
    assert not parser.in_block


def test_prose_comes_as_it_is_written() -> None:
    parser = FenceParser()
    assert list(parser.feed("Hello")) == [TextDelta("Hello")]
    assert list(parser.feed(" `")) == [TextDelta(" ")]
    assert list(parser.feed("x`")) == [TextDelta("`x")]
