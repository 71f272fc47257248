"""Prose, code and output as blocks: whatever comes, in whatever pieces and room, all of it becomes final, once."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sandbox_interpreter.terminal.output import Output
from sandbox_interpreter.terminal.panel import Panel
from sandbox_interpreter.terminal.prose import Prose
from sandbox_interpreter.terminal.rows import Block

ESCAPES = re.compile(r"\x1b\[[0-9;:]*[mK]")
NARROW = 12  # no line numbers there, so that the rows are the code

pieces = st.lists(st.text("ab 日本\n#'\"", min_size=1, max_size=12), max_size=15)
special = st.sampled_from("*_`#>|-[]()<&;\n\x1b\x07\u202e\t\r")
hostile = st.lists(st.text(st.one_of(st.characters(), special), max_size=20), max_size=8)
rooms = st.integers(min_value=1, max_value=9)


def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=24, color_system="truecolor")


def final(block: Block, parts: list[str], width: int, height: int) -> str:
    """Return everything that became final while ``parts`` were fed and drawn one by one."""
    done = ""
    for part in parts:
        block.feed(part)
        drawn = block.draw(width, height)
        done += drawn.above
    return done + block.close(width)


@given(pieces, rooms)
def test_code_becomes_final_once_and_whole(parts: list[str], height: int) -> None:
    shown = ESCAPES.sub("", final(Panel(console(), "python", title="python"), parts, NARROW, height))
    title, _, code = shown.partition("\n")
    assert title == " python"
    assert code.replace("\n", "") == "".join(parts).replace("\n", "")


@given(pieces, rooms)
def test_output_becomes_final_once_and_whole(parts: list[str], height: int) -> None:
    text = "".join(parts)
    shown = final(Output(console(), hold=True), parts, NARROW, height)
    assert shown == (text if not text or text.endswith("\n") else text + "\n")


@given(hostile, rooms, st.integers(min_value=1, max_value=40))
def test_no_text_breaks_a_block_or_leaves_it(parts: list[str], height: int, width: int) -> None:
    for block in (Prose(console()), Panel(console(), "".join(parts), title="".join(parts)), Output(console())):
        shown = final(block, parts, width, height)
        assert not set(ESCAPES.sub("", shown)) & set("\x1b\x07\x9b\u202e\r")
        assert shown == "" or shown.endswith("\n")


@given(hostile, rooms, st.integers(min_value=1, max_value=40))
def test_no_block_has_more_rows_than_it_was_given(parts: list[str], height: int, width: int) -> None:
    for block in (Prose(console()), Output(console(), hold=True)):
        for part in parts:
            block.feed(part)
            assert len(block.draw(width, height).rows) <= height


@pytest.mark.parametrize("source", [
    ">" * 2000 + "x", "- " * 400 + "x", "[" * 3000, "*a " * 2000, "[a](" * 1500, "`" * 4000 + "a", "**a *b " * 1000,
    "|a" * 300 + "|\n" + "|-" * 300 + "|\n", "".join("  " * depth + "- x\n" for depth in range(80)),
])
def test_markdown_made_to_break_a_parser_does_not(source: str) -> None:
    assert final(Prose(console()), [source[:100], source[100:]], 60, 20)


def test_a_paragraph_is_final_once_the_next_one_begins() -> None:
    prose = Prose(console())
    prose.feed("First.\n\n")
    assert prose.draw(40, 20).above == ""
    prose.feed("Sec")
    drawn = prose.draw(40, 20)
    assert (drawn.above, drawn.rows) == ("First.\n", ["", "Sec"])


def test_an_item_is_final_once_the_next_one_begins_and_numbers_go_on() -> None:
    prose = Prose(console())
    prose.feed("9. nine\n10. ten\n11. el")
    drawn = prose.draw(40, 20)
    assert ESCAPES.sub("", drawn.above).splitlines() == ["  9 nine", " 10 ten"]
    assert ESCAPES.sub("", drawn.rows[0]) == " 11 el"


def test_held_output_is_let_go_when_it_needs_more_room() -> None:
    output = Output(console(), hold=True)
    output.feed("one\ntwo\n")
    assert output.draw(40, 3).rows == ["one", "two"]
    output.feed("three\nfour\n")
    drawn = output.draw(40, 3)
    assert (drawn.above, drawn.rows) == ("one\ntwo\nthree\nfour\n", [])
    output.feed("five\n")
    assert output.draw(40, 3).above == "five\n"


def test_a_line_that_grows_shows_its_end_in_the_room_there_is() -> None:
    output = Output(console())
    output.feed("x" * 500 + "end")
    rows = output.draw(40, 3).rows
    assert len(rows) == 3
    assert rows[-1].endswith("end")


def test_long_code_lines_are_folded_never_cut() -> None:
    code = "value = '" + "x" * 100 + "tail'"
    shown = ESCAPES.sub("", final(Panel(console(), "python", title="python"), [code], 40, 9))
    assert shown.count("x") == 100
    assert "tail'" in shown.replace("\n      ", "")
    assert all(len(row) <= 40 for row in shown.splitlines())
