from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.messages import (
    ACTIVE_LINE,
    CONFIRMATION,
    CONSOLE,
    PROSE,
    Blocks,
    Chunk,
    Head,
    Message,
    Transcript,
    code_head,
    fold,
    image_head,
    is_stored,
)

HEADS = (PROSE, CONSOLE, code_head("python"), code_head("shell"), image_head("image/png"))
pieces = st.lists(st.tuples(st.sampled_from(HEADS), st.text(max_size=5)), max_size=20)


def chunks_of(written: list[tuple[Head, str]]) -> list[Chunk]:
    blocks = Blocks()
    chunks = [chunk for head, text in written for chunk in blocks.write(head, text)]
    return [*chunks, *blocks.close()]


@given(pieces)
def test_blocks_open_and_close_exactly_once_and_never_overlap(written: list[tuple[Head, str]]) -> None:
    open_head: tuple[object, ...] | None = None
    for chunk in chunks_of(written):
        head = (chunk["role"], chunk["type"], chunk.get("format"))
        if chunk.get("start"):
            assert open_head is None
            open_head = head
        assert head == open_head
        assert ("content" in chunk) is not (chunk.get("start", False) or chunk.get("end", False))
        if chunk.get("end"):
            open_head = None
    assert open_head is None


@given(pieces)
def test_no_text_is_lost_between_pieces_and_messages(written: list[tuple[Head, str]]) -> None:
    messages = fold(chunks_of(written))
    assert "".join(message["content"] for message in messages) == "".join(text for _, text in written)
    assert json.loads(json.dumps(messages)) == messages


def test_code_that_prints_nothing_stores_empty_output() -> None:
    blocks = Blocks()
    assert fold([*blocks.open(CONSOLE), *blocks.close()]) == [
        {"role": "computer", "type": "console", "format": "output", "content": ""}]


def test_closing_twice_says_nothing_more() -> None:
    blocks = Blocks()
    assert [*blocks.write(PROSE, "x"), *blocks.close(), *blocks.close()] == [
        {"role": "assistant", "type": "message", "start": True},
        {"role": "assistant", "type": "message", "content": "x"},
        {"role": "assistant", "type": "message", "end": True}]


def test_confirmations_and_active_lines_are_never_stored() -> None:
    passing = [ACTIVE_LINE.chunk(content=3), ACTIVE_LINE.chunk(content=None), CONFIRMATION.chunk(content={})]
    assert [is_stored(chunk) for chunk in passing] == [False] * 3
    blocks = Blocks()
    stream = [*blocks.write(CONSOLE, "a"), *passing, *blocks.write(CONSOLE, "b"), *blocks.close()]
    assert [message["content"] for message in fold(stream)] == ["ab"]


def test_a_stream_that_is_abandoned_has_lost_nothing() -> None:
    messages: list[Message] = []
    transcript = Transcript(messages)
    for chunk in chunks_of([(PROSE, "half"), (PROSE, " a sentence")])[:2]:
        transcript.add(chunk)
    assert messages == [{"role": "assistant", "type": "message", "content": "half"}]


@pytest.mark.parametrize(("mime", "kind"), [
    ("image/png", "base64.png"), ("image/jpeg", "base64.jpeg"), ("image/svg+xml", "base64.svg"),
])
def test_a_picture_is_named_after_its_type(mime: str, kind: str) -> None:
    assert image_head(mime).format == kind
