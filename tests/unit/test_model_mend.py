from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.models.base import BrokenOff, CodeDelta, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.mend import mended
from tests.support.events import codes, cut_up, joined

CALL = '{"language": "shell", "code": "10+12"}'


def mend(pieces: Iterable[str], end: ModelEvent | None = None) -> list[ModelEvent]:
    return joined(mended([*(CodeDelta("python", piece) for piece in pieces or [""]), end or CodeEnd()]))


@pytest.mark.parametrize(("code", "language"), [
    ("10+12executeexecute", "python"),
    ("10+12executeexecute\n", "python"),
    (CALL, "shell"),
    (f"\n{CALL}\n", "shell"),
    (f"{CALL}executeexecute", "shell"),
    ("{language: 'shell', code: '10+12'}", "shell"),
    ('{"code": "10+12"}', "python"),
    (f"functions.execute({CALL})", "shell"),
    (f"functions.execute( {CALL} )", "shell"),
    ('{"language": "python", "code": "functions.execute({code: \\"10+12\\"})"}', "python"),
])
def test_wrapped_code_is_unwrapped_wherever_it_is_cut(code: str, language: str) -> None:
    for at in range(len(code) + 1):
        assert codes(mend([code[:at], code[at:]])) == [(language, "10+12")]
    assert codes(mend(code)) == [(language, "10+12")]


@pytest.mark.parametrize("code", [
    "{1, 2}", '{"a": 1}["a"]', '{"language": "python"}', "functions = 1", "functions.execute(x)", "executed", "execute",
    "print('executeexecute')", '{"code": "a", "other": "b"}', '{"code": "a"}["code"]', "f", "", "  ", "{", "e",
])
def test_code_that_only_looks_wrapped_is_unchanged(code: str) -> None:
    assert codes(mend(code)) == [("python", code)]


FRAGMENTS = ["execute", "exe", "cute", "{", "}", '"code"', ": ", '"', "functions.execute(", ")", "x", "\n", " "]


@given(cut_up(st.lists(st.sampled_from(FRAGMENTS), max_size=10).map("".join)))
def test_where_code_is_cut_makes_no_difference(cut: tuple[str, list[str]]) -> None:
    code, pieces = cut
    assert mend(pieces) == mend([code])


@given(st.text(max_size=20).filter(lambda code: not code.rstrip().endswith("executeexecute")))
def test_other_code_is_identical(code: str) -> None:
    plain = f"#{code}"
    assert codes(mend(plain)) == [("python", plain)]


def test_plain_code_passes_at_once() -> None:
    passed = list(mended(iter([CodeDelta("python", "print("), CodeDelta("python", "1)")])))
    assert passed == [CodeDelta("python", "print("), CodeDelta("python", "1)")]


def test_blocks_are_mended_one_by_one_and_the_rest_passes() -> None:
    broken = BrokenOff("It broke.", again=True)
    events: list[ModelEvent] = [TextDelta("a"), CodeDelta("python", CALL), broken, CodeDelta("shell", "ls"), CodeEnd(),
                                TextDelta("b")]
    assert joined(mended(events)) == [TextDelta("a"), CodeDelta("shell", "10+12"), broken, CodeDelta("shell", "ls"),
                                      CodeEnd(), TextDelta("b")]
