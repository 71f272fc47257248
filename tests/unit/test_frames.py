"""Frames survive every split, and nothing that arrives makes a decoder raise anything but FrameError."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.agent.frames import (
    AGENT_FRAMES,
    HOST_FRAMES,
    HOST_PAYLOAD,
    MAGIC,
    MAX_HEADER,
    MAX_PAYLOAD,
    PREFIX,
    RESYNC_PADDING,
    TRAILER,
    Decoder,
    Frame,
    FrameError,
    encode,
    fragments,
)

VALUES: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**53), 2**53),
    float: st.floats(-1e15, 1e15),
    str: st.text(max_size=40),
    bool: st.booleans(),
    list: st.lists(st.integers(0, 100) | st.text(max_size=5), max_size=5),
    dict: st.dictionaries(st.text(max_size=5), st.integers(0, 1000), max_size=5),
    type(None): st.none(),
}


def headers(fields: dict[str, tuple[type, ...]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: st.one_of([VALUES[kind] for kind in kinds]) for name, kinds in fields.items()})


@st.composite
def frames(draw: st.DrawFn, table: dict[str, dict[str, tuple[type, ...]]]) -> tuple[str, dict[str, Any], bytes]:
    kind = draw(st.sampled_from(sorted(table)))
    header = draw(headers(table[kind]))
    if draw(st.booleans()):
        header["more"] = True
    return kind, header, draw(st.binary(max_size=200))


def shape(frame: Frame) -> tuple[str, dict[str, Any], bytes]:
    return frame.type, frame.header, frame.payload


def raw(header: bytes, payload: bytes = b"", trailer: bytes = TRAILER) -> bytes:
    """Return a frame whose header is any bytes at all."""
    return PREFIX.pack(MAGIC, len(header), len(payload)) + header + payload + trailer


@given(st.lists(frames(AGENT_FRAMES), max_size=6), st.data())
def test_any_split_of_a_stream_gives_the_same_frames(said: list[tuple[str, dict[str, Any], bytes]],
                                                     data: st.DataObject) -> None:
    whole = b"".join(encode(kind, payload, **header) for kind, header, payload in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=12)))
    decoder = Decoder(AGENT_FRAMES, strict=True)
    heard = [shape(frame) for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
             for frame in decoder.feed(whole[start:end])]
    assert heard == said


def test_one_byte_at_a_time_gives_the_same_frame() -> None:
    decoder = Decoder(AGENT_FRAMES, strict=True)
    pieces = encode("stream", b"\x00\xff payload", id=1, name="stdout")
    heard = [frame for byte in pieces for frame in decoder.feed(bytes([byte]))]
    assert [shape(frame) for frame in heard] == [("stream", {"id": 1, "name": "stdout"}, b"\x00\xff payload")]


@given(st.lists(st.binary(max_size=60) | st.sampled_from([MAGIC, TRAILER, encode("pong"), encode("pong")[:-2]])))
def test_garbage_raises_frame_error_or_nothing_on_the_strict_side(pieces: list[bytes]) -> None:
    decoder = Decoder(AGENT_FRAMES, strict=True)
    with contextlib.suppress(FrameError):
        for piece in pieces:
            for frame in decoder.feed(piece):
                assert frame.type in AGENT_FRAMES


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                    max_leaves=8)


@given(st.sampled_from(sorted(AGENT_FRAMES)), st.data())
def test_a_header_of_any_json_is_taken_as_the_table_has_it_or_refused(kind: str, data: st.DataObject) -> None:
    fields = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys((*AGENT_FRAMES[kind], "more", "odd"), JSON)))
    try:
        (frame,) = Decoder(AGENT_FRAMES, strict=True).feed(raw(json.dumps({"type": kind, **fields}).encode()))
    except FrameError:
        return
    assert set(frame.header) - {"more"} == set(AGENT_FRAMES[kind])
    for name, kinds in AGENT_FRAMES[kind].items():
        assert isinstance(frame.header[name], kinds)
        assert not isinstance(frame.header[name], bool) or bool in kinds


@pytest.mark.parametrize("header", [
    b"[" * 30_000,
    b'{"type": ' * 10_000,
    b"null", b"[]", b'"pong"', b"1", b"", b"{", b"\xff\xfe", b'{"type": "pong"} x', b'{"type": 1}', b"{}",
    b'{"type": "no such type"}', b'{"type": ["pong"]}', b'{"type": null}',
    b'{"type": "stream", "id": true, "name": "stdout"}',
    b'{"type": "stream", "id": "1", "name": "stdout"}',
    b'{"type": "stream", "id": 1.0, "name": "stdout"}',
    b'{"type": "stream", "id": 1}',
    b'{"type": "stream", "id": 1, "name": null}',
    b'{"type": "stream", "id": 1, "name": "stdout", "more": 1}',
    b'{"type": "stream", "id": 99999999999999999999, "name": "stdout"}',
    b'{"type": "stream", "id": ' + b"9" * 5000 + b', "name": "stdout"}',
    b'{"type": "status", "id": 1, "exit_code": 0, "limit": null, "duration_ms": NaN, "interrupted": false}',
    b'{"type": "status", "id": 1, "exit_code": 0, "limit": null, "duration_ms": Infinity, "interrupted": false}',
    b'{"type": "status", "id": 1, "exit_code": 0, "limit": null, "duration_ms": -1e999, "interrupted": false}',
    b'{"type": "status", "id": 1, "exit_code": 0, "limit": null, "duration_ms": 1, "interrupted": 0}',
    b'{"type": "display_data", "id": 1, "result": true, "parts": {"a/b": [[], []]}}',
    b'{"type": "display_data", "id": 1, "result": true, "parts": {"a/b": 1e3}}',
    b'{"type": "sync_reply", "last": 1, "requests": [[1]]}',
])
def test_a_malformed_header_is_refused_on_the_strict_side_and_passed_over_on_the_other(header: bytes) -> None:
    with pytest.raises(FrameError):
        list(Decoder(AGENT_FRAMES, strict=True).feed(raw(header)))
    heard = list(Decoder(AGENT_FRAMES, strict=False).feed(raw(header) + encode("pong")))
    assert [frame.type for frame in heard] == ["pong"]


def test_fields_that_nobody_asked_for_are_dropped() -> None:
    (frame,) = Decoder(AGENT_FRAMES, strict=True).feed(raw(b'{"type":"pong","self":1,"payload":2,"kind":[[]]}'))
    assert frame.header == {}


def test_a_field_that_may_be_null_may_be_absent() -> None:
    (frame,) = Decoder(AGENT_FRAMES, strict=True).feed(raw(b'{"type":"active_line","id":1}'))
    assert frame.header == {"id": 1, "line": None}


def test_of_duplicate_keys_the_last_counts_and_is_checked() -> None:
    (frame,) = Decoder(AGENT_FRAMES, strict=True).feed(raw(b'{"type":"stream","id":1,"id":2,"name":"stdout"}'))
    assert frame.header["id"] == 2
    with pytest.raises(FrameError, match="'id'"):
        list(Decoder(AGENT_FRAMES, strict=True).feed(raw(b'{"type":"stream","id":1,"id":"2","name":"stdout"}')))


@pytest.mark.parametrize(("head", "body"), [
    (MAX_HEADER + 1, 0), (0, MAX_PAYLOAD + 1), (2**32 - 1, 2**32 - 1), (2**31, 0),
])
def test_a_length_beyond_the_limit_is_refused_before_it_is_waited_for(head: int, body: int) -> None:
    with pytest.raises(FrameError, match="no frame"):
        list(Decoder(AGENT_FRAMES, strict=True).feed(PREFIX.pack(MAGIC, head, body)))


def test_a_frame_without_its_end_is_refused() -> None:
    with pytest.raises(FrameError, match="no frame"):
        list(Decoder(AGENT_FRAMES, strict=True).feed(raw(b'{"type":"pong"}', trailer=b"\x00end")))


def test_a_decoder_holds_no_more_than_one_frame() -> None:
    decoder = Decoder(AGENT_FRAMES, strict=True)
    big = encode("stream", bytes(MAX_PAYLOAD), id=1, name="stdout")
    for _ in range(5):
        assert len(list(decoder.feed(big))) == 1
        assert len(decoder._buffer) == 0
    assert list(decoder.feed(big[:-1])) == []
    assert len(decoder._buffer) == len(big) - 1


@given(st.lists(st.binary(max_size=80) | st.sampled_from([MAGIC, MAGIC + b"\x00\x00\xff\xff", MAGIC + b"\x00" * 4]),
                max_size=8))
def test_garbage_never_hides_the_frame_behind_a_resync(garbage: list[bytes]) -> None:
    decoder = Decoder(HOST_FRAMES, strict=False, most_payload=HOST_PAYLOAD)
    for piece in garbage:
        assert list(decoder.feed(piece)) == []
    heard = list(decoder.feed(RESYNC_PADDING + encode("sync", nonce="here", credit=1)))
    assert [frame.header.get("nonce") for frame in heard] == ["here"]


@given(st.binary(max_size=300), st.data())
def test_a_frame_cut_anywhere_never_hides_the_frame_behind_a_resync(payload: bytes, data: st.DataObject) -> None:
    # A payload may hold what looks like the beginning of the largest frame there is.
    payload = payload + PREFIX.pack(MAGIC, MAX_HEADER, data.draw(st.sampled_from([0, HOST_PAYLOAD, MAX_PAYLOAD])))
    whole = encode("stdin", payload, id=1, eof=False)
    decoder = Decoder(HOST_FRAMES, strict=False, most_payload=HOST_PAYLOAD)
    assert list(decoder.feed(whole[: data.draw(st.integers(0, len(whole) - 1))])) == []
    heard = list(decoder.feed(RESYNC_PADDING + encode("sync", nonce="here", credit=1)))
    assert [frame.header.get("nonce") for frame in heard] == ["here"]


@given(st.binary(max_size=100), st.integers(1, 40))
def test_fragments_add_up_and_only_the_last_has_no_more(payload: bytes, size: int) -> None:
    heard = list(Decoder(HOST_FRAMES, strict=True).feed(b"".join(fragments("stdin", payload, size, id=1, eof=False))))
    assert b"".join(frame.payload for frame in heard) == payload
    assert [frame.header.get("more", False) for frame in heard] == [True] * (len(heard) - 1) + [False]


def test_what_is_too_large_for_a_frame_is_not_encoded() -> None:
    with pytest.raises(FrameError, match="too large"):
        encode("stream", bytes(MAX_PAYLOAD + 1), id=1, name="stdout")
    with pytest.raises(FrameError, match="too large"):
        encode("stream", id=1, name="x" * MAX_HEADER)
