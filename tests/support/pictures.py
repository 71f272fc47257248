"""Pictures for tests: a small PNG writer with every filter, and a reader of sixels."""

from __future__ import annotations

import base64
import itertools
import re
import struct
import zlib
from collections.abc import Callable

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(rows: list[bytes], *, colour: int = 2, filters: tuple[int, ...] = (0,), extra: bytes = b"",
           palette: bytes = b"", depth: int = 8, interlace: int = 0) -> bytes:
    """Return a PNG of ``rows`` of samples; row n is stored with filter ``filters[n % len(filters)]``."""
    step = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    raw, above = b"", bytes(len(rows[0]))
    for number, row in enumerate(rows):
        kind = filters[number % len(filters)]
        raw += bytes([kind]) + _filtered(kind, row, above, step)
        above = row
    header = struct.pack(">IIBBBBB", len(rows[0]) // step, len(rows), depth, colour, 0, 0, interlace)
    body = png_chunk(b"PLTE", palette) if palette else b""
    return b"".join([SIGNATURE, png_chunk(b"IHDR", header), extra, body, png_chunk(b"IDAT", zlib.compress(raw)),
                     png_chunk(b"IEND", b"")])


def base64_png(width: int = 4, height: int = 4) -> str:
    """Return a white PNG as the content of a message."""
    return base64.b64encode(png_of([b"\xff" * 3 * width] * height)).decode()


def _filtered(kind: int, row: bytes, above: bytes, step: int) -> bytes:
    left, corner = bytes(step) + row, bytes(step) + above
    guesses: list[Callable[[int, int, int], int]] = [
        lambda a, b, c: 0, lambda a, b, c: a, lambda a, b, c: b, lambda a, b, c: (a + b) // 2,
        lambda a, b, c: min((a, b, c), key=lambda v: abs(a + b - c - v))]
    guess = guesses[kind]
    return bytes((row[n] - guess(left[n], above[n], corner[n])) & 255 for n in range(len(row)))


def read_sixels(text: str) -> list[list[tuple[int, int, int] | None]]:
    """Return the pixels that a sixel sequence draws, in percent of each channel; None where it draws nothing."""
    match = re.fullmatch(r'\x1bP[0-9;]*q"1;1;(\d+);(\d+)([#0-9;!$\-?-~]*)\x1b\\', text)
    assert match, text[:80]
    width, height = int(match[1]), int(match[2])
    pixels: list[list[tuple[int, int, int] | None]] = [[None] * width for _ in range(height)]
    palette: dict[int, tuple[int, int, int]] = {}
    x = top = colour = 0
    for token in re.finditer(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$\-])", match[3]):
        if token[1]:
            palette[int(token[1])] = (int(token[2]), int(token[3]), int(token[4]))
        elif token[5]:
            colour = int(token[5])
        elif token[9]:
            x, top = 0, top + (6 if token[9] == "-" else 0)
        else:
            mask = ord(token[7] or token[8]) - 63
            end = x + int(token[6] or 1)
            for column, bit in itertools.product(range(x, end), range(6)):
                if mask >> bit & 1:
                    pixels[top + bit][column] = palette[colour]
            x = end
    return pixels
