from __future__ import annotations

import base64
import re
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.pictures import from_base64, identify
from sandbox_interpreter.terminal import png, sixel
from sandbox_interpreter.terminal.pictures import Space, inline, protocol_of
from tests.support.pictures import png_chunk, png_of, read_sixels

SPACE = Space(columns=80, cell_width=8, cell_height=16)
RED, BLUE = bytes([255, 0, 0]), bytes([0, 0, 255])
FLAG = [RED * 4 + BLUE * 4] * 7


@given(st.data())
def test_every_filter_and_colour_type_is_decoded(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 9))
    row = st.binary(min_size=3 * width, max_size=3 * width)
    rows = data.draw(st.lists(row, min_size=height, max_size=height))
    filters = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=5)))
    assert png.decode(png_of(rows, filters=filters)) == rows


def test_grey_palette_and_alpha_become_rgb_over_white() -> None:
    assert png.decode(png_of([b"\x00\x80"], colour=0)) == [b"\0\0\0\x80\x80\x80"]
    assert png.decode(png_of([b"\x01\x00"], colour=3, palette=RED + BLUE)) == [BLUE + RED]
    assert png.decode(png_of([b"\0\0\0\0" + RED + b"\xff"], colour=6)) == [b"\xff\xff\xff" + RED]
    assert png.decode(png_of([b"\x00\x00\x10\xff"], colour=4)) == [b"\xff\xff\xff\x10\x10\x10"]


@pytest.mark.parametrize("broken", [
    png_of(FLAG, depth=16),
    png_of(FLAG, interlace=1),
    png_of([b"\x05"], colour=3, palette=RED),
    png_of(FLAG)[:-20],
    png_of(FLAG).replace(b"IDAT", b"iDAT"),
    b"",
    b"\x89PNG\r\n\x1a\n",
])
def test_a_broken_picture_is_not_decoded(broken: bytes) -> None:
    assert png.decode(broken) is None


@given(st.binary(max_size=200), st.integers(0, 100))
def test_garbage_never_raises(garbage: bytes, place: int) -> None:
    whole = png_of(FLAG)
    hurt = whole[:place] + garbage + whole[place + len(garbage):]
    picture = identify(hurt)
    assert picture is None or inline(picture, "sixel", SPACE) is None or picture.suffix == ".png"


def test_a_bomb_is_not_inflated_beyond_its_header() -> None:
    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(50_000_000))
    bomb = png.SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    assert png.decode(bomb) == [bytes(6), bytes(6)]


def test_a_picture_of_too_many_pixels_is_not_handed_on() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    huge = png.SIGNATURE + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"x") + png_chunk(b"IEND", b"")
    picture = identify(huge)
    assert picture
    assert picture.width == 60_000
    assert [inline(picture, protocol, SPACE) for protocol in ("kitty", "iterm2", "sixel")] == [None] * 3


@pytest.mark.parametrize(("data", "suffix"), [
    (png_of(FLAG), ".png"),
    (b"\xff\xd8\xff\xe0\0\4ab\xff\xc0\0\x11\x08\0\x07\0\x09\x03" + bytes(20), ".jpg"),
    (b"GIF89a" + bytes(20), ".gif"),
    (b"RIFF\0\0\0\0WEBPVP8 ", ".webp"),
    (b'<?xml version="1.0"?>\n<svg xmlns="x"></svg>', ".svg"),
    (b"\x7fELF" + bytes(40), None),
    (b"#!/bin/sh\nrm -rf ~\n", None),
    (b"<html><script>", None),
    (b"", None),
])
def test_the_first_bytes_decide_what_a_picture_is(data: bytes, suffix: str | None) -> None:
    picture = identify(data)
    assert (picture.suffix if picture else None) == suffix


@pytest.mark.parametrize("data", [
    png_of([RED * 9] * 7),
    b"\xff\xd8\xff\xe0\0\4ab\xff\xc0\0\x11\x08\0\x07\0\x09\x03" + bytes(20),
    b"GIF89a\x09\0\x07\0" + bytes(20),
    b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\x01\0\x9d\x01\x2a\x09\x40\x07\0" + bytes(20),
    b"RIFF\x24\0\0\0WEBPVP8L\x18\0\0\0\x2f\x08\x80\x01\0" + bytes(20),
    b"RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x08\0\0\x06\0\0" + bytes(20),
], ids=["png", "jpeg", "gif", "webp lossy", "webp lossless", "webp extended"])
def test_the_size_is_read_from_the_header(data: bytes) -> None:
    picture = identify(data)
    assert picture
    assert (picture.width, picture.height) == (9, 7)


@pytest.mark.parametrize("text", ["not base64!", "AAAA\n\x1b]52;c;AAAA\x07", "é", "A" * 50_000_000])
def test_content_that_is_no_picture_is_none(text: str) -> None:
    assert from_base64(text) is None


@pytest.mark.parametrize(("environment", "protocol"), [
    ({"TERM": "xterm-kitty"}, "kitty"),
    ({"KITTY_WINDOW_ID": "1", "TERM": "xterm-256color"}, "kitty"),
    ({"TERM_PROGRAM": "ghostty"}, "kitty"),
    ({"TERM_PROGRAM": "iTerm.app"}, "iterm2"),
    ({"TERM_PROGRAM": "WezTerm"}, "iterm2"),
    ({"LC_TERMINAL": "iTerm2"}, "iterm2"),
    ({"KONSOLE_VERSION": "230801"}, "iterm2"),
    ({"KONSOLE_VERSION": "210400"}, None),
    ({"KONSOLE_VERSION": "new"}, None),
    ({"TERM": "foot"}, "sixel"),
    ({"TERM": "mlterm-256color"}, "sixel"),
    ({"TERM": "xterm-256color"}, None),
    ({"TERM": "xterm-kitty", "TMUX": "/tmp/x"}, None),
    ({"TERM": "screen.xterm-256color", "TERM_PROGRAM": "iTerm.app"}, None),
    ({}, None),
])
def test_the_environment_tells_the_protocol(environment: dict[str, str], protocol: str | None) -> None:
    assert protocol_of(environment) == protocol


def test_kitty_gets_the_png_in_pieces_and_must_not_answer() -> None:
    noise = [bytes((x * y * 7 + x) & 255 for x in range(900)) for y in range(60)]
    picture = identify(png_of(noise, extra=png_chunk(b"tEXt", b"Comment\0secret")))
    assert picture
    shown = inline(picture, "kitty", SPACE)
    assert shown
    pieces = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", shown)
    assert "".join(f"\x1b_G{head};{body}\x1b\\" for head, body in pieces) == shown
    assert pieces[0][0].startswith("a=T,f=100,q=2,c=38,m=1")
    assert [head[-3:] for head, _ in pieces] == [*["m=1"] * (len(pieces) - 1), "m=0"]
    assert all(len(body) <= 4096 for _, body in pieces)
    sent = base64.b64decode("".join(body for _, body in pieces))
    assert b"secret" not in sent
    assert png.decode(sent) == noise


def test_iterm2_gets_one_sequence_no_wider_than_the_terminal() -> None:
    picture = identify(png_of([RED * 3000] * 3))
    assert picture
    shown = inline(picture, "iterm2", SPACE)
    assert shown
    match = re.fullmatch(r"\x1b]1337;File=inline=1;size=(\d+);width=80;preserveAspectRatio=1:([\w+/=]+)\x07", shown)
    assert match
    assert len(base64.b64decode(match[2])) == int(match[1])


def test_sixels_draw_the_same_picture() -> None:
    drawn = read_sixels(sixel.encode(FLAG, 100))
    assert drawn == [[(100, 0, 0)] * 4 + [(0, 0, 100)] * 4] * 7


@given(st.lists(st.binary(min_size=36, max_size=36), min_size=1, max_size=20))
def test_sixels_of_any_picture_are_near_to_it(rows: list[bytes]) -> None:
    drawn = read_sixels(sixel.encode(rows, 100))
    for row, pixels in zip(rows, drawn, strict=True):
        for x, pixel in enumerate(pixels):
            assert pixel is not None
            assert pixel == tuple(round(value * 100 / 255) for value in row[3 * x:3 * x + 3])


def test_many_colours_become_the_nearest_of_few() -> None:
    rows = [bytes(value for x in range(64) for value in (4 * x, 4 * y, (x * y) & 255)) for y in range(64)]
    drawn = read_sixels(sixel.encode(rows, 100))
    shown = {pixel for row in drawn for pixel in row}
    assert len(shown) <= 240
    errors = [abs(pixel[c] - rows[y][3 * x + c] * 100 / 255)
              for y, row in enumerate(drawn) for x, pixel in enumerate(row) if pixel for c in range(3)]
    assert len(errors) == 3 * 64 * 64
    assert sum(errors) / len(errors) < 6


def test_a_wide_picture_is_shrunk_to_the_terminal() -> None:
    drawn = read_sixels(sixel.encode([RED * 1000] * 500, 100))
    assert (len(drawn[0]), len(drawn)) == (100, 50)


def test_a_format_that_the_terminal_cannot_show_is_not_sent() -> None:
    jpeg = identify(b"\xff\xd8\xff\xe0\0\4ab\xff\xc0\0\x11\x08\0\x07\0\x09\x03" + bytes(20))
    svg = identify(b"<svg></svg>")
    assert jpeg
    assert svg
    assert inline(jpeg, "kitty", SPACE) is None
    assert inline(jpeg, "iterm2", SPACE)
    assert inline(svg, "iterm2", SPACE) is None
