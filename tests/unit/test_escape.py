from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.terminal.escape import RESET, Filter, reveal, utf8_decoder

CONTROLS = [chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F),
                                   *range(0x2066, 0x206A), 0x2028, 0x2029, 0xD800, 0xDFFF)]
KEPT = {"\n", "\t", "\r"}
hostile = st.text(st.one_of(st.sampled_from([*CONTROLS, *"[]();:m?0138", "\x1b[31m"[0]]), st.characters()), max_size=60)


def passed(text: str, *, colour: bool = True) -> str:
    sieve = Filter(colour=colour)
    return sieve.feed(text) + sieve.close()


def pieces(text: str, cuts: list[int]) -> list[str]:
    borders = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[a:b] for a, b in itertools.pairwise(borders)]


@given(hostile)
def test_nothing_but_style_survives(text: str) -> None:
    rest = re.sub(r"\x1b\[[0-9;:]*m", "", passed(text))
    assert not set(rest) & (set(CONTROLS) - KEPT)


@given(hostile, st.lists(st.integers(min_value=0), max_size=8))
def test_splitting_changes_nothing(text: str, cuts: list[int]) -> None:
    sieve = Filter()
    assert "".join([*map(sieve.feed, pieces(text, cuts)), sieve.close()]) == passed(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=80))
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert passed(text) == text


@given(hostile)
def test_no_character_is_lost(text: str) -> None:
    shown = passed(text, colour=False)
    unstyled = re.sub(r"\x1b\[[0-9;:]{0,64}m", "", text)
    assert len(re.sub(r"⟨U\+[0-9A-F]{4}⟩", "x", shown)) == len(re.sub(r"⟨U\+[0-9A-F]{4}⟩", "x", unstyled))


@given(hostile)
def test_a_filter_that_passed_once_passes_again_unchanged(text: str) -> None:
    once = passed(text)
    assert passed(once) == once


@pytest.mark.parametrize(("hostile_text", "shown"), [
    ("\x1b]52;c;aGk=\x07", "␛]52;c;aGk=␇"),
    ("\x1b]0;title\x1b\\", "␛]0;title␛\\"),
    ("\x1b]8;;http://a\x1b\\text\x1b]8;;\x1b\\", "␛]8;;http://a␛\\text␛]8;;␛\\"),
    ("\x1b[2J\x1b[H", "␛[2J␛[H"),
    ("\x1b[21t", "␛[21t"),
    ("\x1b[6n", "␛[6n"),
    ("\x1b[>4;2m", "␛[>4;2m"),
    ("\x1b[?25l", "␛[?25l"),
    ("\x1bPq#0;2;0;0;0\x1b\\", "␛Pq#0;2;0;0;0␛\\"),
    ("\x1b_Gf=100;AAAA\x1b\\", "␛_Gf=100;AAAA␛\\"),
    ("\x1bc", "␛c"),
    ("\x9b2J", "⟨U+009B⟩2J"),
    ("\x9d52;c;aGk=\x9c", "⟨U+009D⟩52;c;aGk=⟨U+009C⟩"),
    ("ok\b\bno", "ok␈␈no"),
    ("\x1b[31\x1b[0m", "␛[31\x1b[0m"),
    ("a\u202eb", "a⟨U+202E⟩b"),
    ("\ud83d", "\ufffd"),
    ("\x0e\x0f\x0b\x0c\x7f", "␎␏␋␌␡"),
])
def test_a_sequence_is_shown_not_obeyed(hostile_text: str, shown: str) -> None:
    assert passed(hostile_text) == shown


def test_8_bit_controls_are_caught_after_decoding() -> None:
    decoder, sieve = utf8_decoder(), Filter()
    shown = "".join(sieve.feed(decoder.decode(bytes([byte]))) for byte in b"a\xc2\x9b31mb\xc2\x9d0;x\xc2\x9c")
    assert shown == "a⟨U+009B⟩31mb⟨U+009D⟩0;x⟨U+009C⟩"


def test_raw_c1_bytes_are_no_utf8() -> None:
    decoder = utf8_decoder()
    assert decoder.decode(b"\x9b2J") + decoder.decode(b"", final=True) == "\ufffd2J"


@given(st.binary(max_size=60), st.lists(st.integers(min_value=0), max_size=6))
def test_a_decoder_does_not_care_where_bytes_are_split(data: bytes, cuts: list[int]) -> None:
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    decoder = utf8_decoder()
    parts = [decoder.decode(data[a:b]) for a, b in itertools.pairwise(borders)]
    assert "".join([*parts, decoder.decode(b"", final=True)]) == data.decode("utf-8", "replace")


def test_style_is_kept_and_ended() -> None:
    assert passed("\x1b[1;38;5;208mhot") == "\x1b[1;38;5;208mhot" + RESET
    assert passed("\x1b[31mred\x1b[m") == "\x1b[31mred\x1b[m"
    assert passed("\x1b[0;31mred") == "\x1b[0;31mred" + RESET


def test_style_is_left_out_where_there_is_no_colour() -> None:
    assert passed("\x1b[31mred\x1b[0m \x1b]0;t\x07", colour=False) == "red ␛]0;t␇"


def test_an_endless_style_sequence_is_held_back_only_so_far() -> None:
    sieve = Filter()
    assert sieve.feed("\x1b[" + "1" * 64) == ""
    assert sieve.feed("1") == "␛[" + "1" * 65


def test_a_beginning_at_the_end_is_shown() -> None:
    sieve = Filter()
    assert (sieve.feed("x\x1b["), sieve.close()) == ("x", "␛[")


def test_reveal_shows_what_could_hide_code() -> None:
    assert reveal("ok # \x1b[8mhidden\rrm") == "ok # ␛[8mhidden␍rm"
    assert reveal("a\tb\n") == "a\tb\n"
