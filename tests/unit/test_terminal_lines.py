from __future__ import annotations

import re
import time

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.terminal.escape import RESET
from sandbox_interpreter.terminal.lines import Lines

# What a filter passes: it never splits a style sequence.
_NARROW = ["a", "bc", "\r", "\n", "\t", "\r\n", "\x1b[31m", "\x1b[1;42m", "\x1b[0m", "\x1b[m", "é", "e\u0301", " "]
pieces = st.lists(st.sampled_from([*_NARROW, "日", "本語"]), max_size=16)
# pyte cannot show a line in which one half of a wide character was overwritten.
narrow_pieces = st.lists(st.sampled_from(_NARROW), max_size=16)


def whole(*parts: str) -> str:
    lines = Lines()
    return "".join([*map(lines.feed, parts), lines.close()])


def screen(text: str) -> list[str]:
    """Return what a real terminal emulator shows of ``text``, wide enough that no line wraps."""
    display = pyte.Screen(140, 18)
    pyte.Stream(display).feed(text.replace("\n", "\r\n"))
    return [line.rstrip() for line in display.display]


@given(narrow_pieces)
def test_carriage_returns_look_as_on_a_terminal(parts: list[str]) -> None:
    assert screen(whole("".join(parts))) == screen("".join(parts))


@given(pieces)
def test_splitting_changes_nothing_that_is_seen(parts: list[str]) -> None:
    unstyled = re.compile(r"\x1b\[[0-9;]*m")
    assert unstyled.sub("", whole(*parts)) == unstyled.sub("", whole("".join(parts)))


@given(pieces)
def test_no_style_leaks_out(parts: list[str]) -> None:
    styles = re.findall(r"\x1b\[[0-9;]*m", whole(*parts))
    assert not styles or styles[-1] in (RESET, "\x1b[m")


@pytest.mark.parametrize(("text", "line"), [
    ("10%\r20%\r100%\n", "100%\n"),
    ("long line\rab\n", "abng line\n"),
    ("done\r\n", "done\n"),
    ("done\r\r\n", "done\n"),
    ("日本\rx\n", "x 本\n"),
    ("abcd\r日\n", "日cd\n"),
    ("a日\rbc\n", "bc \n"),
    ("e\u0301\r", "e\u0301\n"),
])
def test_a_line_ends_up_in_its_last_state(text: str, line: str) -> None:
    assert whole(text) == line


def test_a_colour_lasts_over_lines_and_pieces() -> None:
    lines = Lines()
    assert lines.feed("\x1b[31mred\nstill ") == f"\x1b[31mred{RESET}\n"
    assert lines.preview() == f"\x1b[31mstill {RESET}"
    assert lines.feed("red\x1b[0m\nplain\n") == "\x1b[31mstill red\x1b[0m\nplain\n"


def test_a_growing_line_is_seen_before_it_ends() -> None:
    lines = Lines()
    assert lines.feed("name: ") == ""
    assert lines.preview() == "name: "
    lines.feed("\r50%")
    assert lines.preview() == "50%e: "
    lines.feed("\r99%\nnext")
    assert lines.preview() == "next"


def test_a_line_without_end_is_cut() -> None:
    lines = Lines()
    finished = sum(lines.feed("x" * 1000).count("\n") for _ in range(1000))
    assert 10 <= finished <= 16
    assert len(lines.preview()) <= 65_000


def test_many_marks_on_one_letter_are_few_in_a_row() -> None:
    assert len(whole("\re" + "\u0301" * 1000 + "\n")) < 12


def test_a_flood_is_cut_into_lines_fast() -> None:
    lines, piece = Lines(), "some text in a line\n" * 3000
    start = time.process_time()  # others on this machine are no reason to fail
    assert sum(len(lines.feed(piece)) for _ in range(200)) == 200 * len(piece)
    assert time.process_time() - start < 2  # 12 MB; it takes 0.05 s
