from __future__ import annotations

import pytest

from sandbox_interpreter.terminal.triple_quotes import is_open, unquoted

MODULE = '"""What it is.\n\nMore.\n"""\nimport os\n'
CODE = '"""\ndef f():\n    """Say it."""\n    return 1\n"""'


@pytest.mark.parametrize("text", ['"""', '"""a', '  """\nabc', '"""\nabc """ def', '"""\ndef f():\n    """Say it."""',
                                  '"""\ndef f():\n    """Say it.', '"""\ndef f():\n    """Say.\n    """'])
def test_more_lines_are_awaited_behind_an_opening_mark(text: str) -> None:
    assert is_open(text)


@pytest.mark.parametrize(("text", "prompt"), [
    ('"""one"""', "one"), ('"""\n  two\n    lines\n"""', "  two\n    lines"), ('"""\nat the end"""', "at the end"),
    ('"""begins\nhere"""  ', "begins\nhere"), ('""""""', ""), (CODE, 'def f():\n    """Say it."""\n    return 1')])
def test_what_stands_between_the_marks_is_the_prompt(text: str, prompt: str) -> None:
    assert not is_open(text)
    assert unquoted(text) == prompt


@pytest.mark.parametrize("text", ["", "hello", 'explain """', '""', MODULE.strip(), '"""a""" and """b"""',
                                  '"""Doc."""\nimport os\nX = """\na\n"""'])
def test_marks_that_are_not_around_it_all_are_a_part_of_the_prompt(text: str) -> None:
    assert not is_open(text)
    assert unquoted(f"  {text} ") == text
