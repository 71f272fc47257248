"""A run that is taken up again: what the conversation has of its output already is not said twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.messages import (
    ACTIVE_LINE,
    CONSOLE,
    PROSE,
    Blocks,
    Chunk,
    Head,
    Message,
    code_head,
    fold,
    image_head,
    outputs_of_last_code,
)
from sandbox_interpreter.sandbox.chunks import unseen

PICTURE = image_head("image/png")
Written = list[tuple[Head, str]]


def chunks_of(written: Written) -> Iterator[Chunk]:
    blocks = Blocks()
    yield from blocks.open(CONSOLE)  # as every run begins
    for head, text in written:
        yield from blocks.write(head, text)
    yield from blocks.close()


def outputs(written: Written) -> list[Message]:
    return [message for message in fold(chunks_of(written)) if message["content"]]


@given(st.lists(st.text(alphabet="ab\n", min_size=1, max_size=3), max_size=10), st.data())
def test_wherever_a_client_was_killed_the_rest_comes_once(pieces: list[str], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len("".join(pieces))))
    seen = [CONSOLE.message("".join(pieces)[:cut])]
    rest = fold(unseen(chunks_of([(CONSOLE, piece) for piece in pieces]), seen))
    assert "".join(message["content"] for message in [*seen, *rest]) == "".join(pieces)
    assert bool(rest) == (cut < len("".join(pieces)))


@pytest.mark.parametrize("cut", range(6))
def test_a_picture_that_was_seen_is_not_shown_again(cut: int) -> None:
    written = [(CONSOLE, "a"), (PICTURE, "Zmlyc3Q="), (CONSOLE, "b"), (PICTURE, "c2Vjb25k"), (CONSOLE, "c")]
    seen = outputs(written[:cut]) if cut else [CONSOLE.message("")]
    assert [message for message in [*seen, *fold(unseen(chunks_of(written), seen))]
            if message["content"]] == outputs(written)


def test_output_that_begins_otherwise_is_said_whole() -> None:
    seen = [CONSOLE.message("line 1\nline 2\n")]
    assert fold(unseen(chunks_of([(CONSOLE, "line 2\n"), (CONSOLE, "line 3\n")]), seen)) == [
        CONSOLE.message("line 2\nline 3\n")]


def test_a_run_of_which_nothing_was_seen_is_as_it_is() -> None:
    assert list(unseen(chunks_of([]), [])) == [CONSOLE.chunk(start=True), CONSOLE.chunk(end=True)]
    assert list(unseen(iter([ACTIVE_LINE.chunk(content=1)]), [CONSOLE.message("a")])) == [ACTIVE_LINE.chunk(content=1)]


def test_seen_is_what_stands_behind_the_last_code() -> None:
    code, out, drawn = code_head("python").message("x"), CONSOLE.message("a"), PICTURE.message("Zg==")
    mine: Message = {"role": "user", "type": "image", "format": "base64.png", "content": "Zg=="}
    assert outputs_of_last_code([code, CONSOLE.message("z"), code, out, drawn, out, PROSE.message("Done."), mine]) == [
        out, drawn, out]
    assert outputs_of_last_code([]) == []
