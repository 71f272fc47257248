"""Just enough PNG (ISO/IEC 15948), in plain Python, to judge a picture from a sandbox and to draw it as sixels.

The picture is hostile: every length is checked, and nothing is inflated beyond the size that its header declares.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_ESSENTIAL = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples per pixel of each colour type: grey, RGB, palette, grey with alpha, RGB with alpha."""


@dataclass(frozen=True)
class Header:
    """What the IHDR chunk says; sizes in pixels, depth in bits per sample."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool


def read_header(data: bytes) -> Header | None:
    """Return the header, or None if ``data`` does not begin as a PNG file does."""
    if len(data) < 33 or not data.startswith(SIGNATURE) or data[8:16] != b"\0\0\0\rIHDR":
        return None
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", data[16:29])
    return Header(width, height, depth, colour, bool(interlace))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each chunk whose check sum is right; end at the first that is cut or wrong."""
    position = len(SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position:position + 4], "big")
        kind, body = data[position + 4:position + 8], data[position + 8:position + 8 + length]
        check = data[position + 8 + length:position + 12 + length]
        if len(check) < 4 or int.from_bytes(check, "big") != zlib.crc32(kind + body):
            return
        yield kind, body
        position += 12 + length


def essential(data: bytes) -> bytes | None:
    """Return the same picture with nothing but header, palette, transparency and pixels; None if it is cut short.

    Colour profiles, text and the like never reach the terminal's decoder.
    """
    parts, kinds = [SIGNATURE], set()
    for kind, body in _chunks(data):
        if kind in _ESSENTIAL:
            kinds.add(kind)
            parts.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
    return b"".join(parts) if {b"IHDR", b"IDAT", b"IEND"} <= kinds else None


def decode(data: bytes) -> list[bytes] | None:
    """Return the rows of a picture as RGB bytes, over white where it is transparent.

    None for what is broken, and for what charts do not use: other than 8 bits a sample, interlacing.
    """
    header = read_header(data)
    if header is None or header.depth != 8 or header.interlaced or header.colour not in _CHANNELS:
        return None
    chunks = list(_chunks(data))
    size = (header.width * _CHANNELS[header.colour] + 1) * header.height
    try:
        raw = zlib.decompressobj().decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"), size)
        if len(raw) != size:
            return None
        palette = next((body for kind, body in chunks if kind == b"PLTE"), b"")
        return [_as_rgb(row, header.colour, palette) for row in _unfiltered(raw, header)]
    except (zlib.error, ValueError, IndexError):
        return None


def _unfiltered(raw: bytes, header: Header) -> Iterator[bytes]:
    step = _CHANNELS[header.colour]
    length = header.width * step
    above = bytes(length)
    for start in range(0, len(raw), length + 1):
        above = _unfilter(raw[start], raw[start + 1:start + 1 + length], above, step)
        yield above


def _unfilter(kind: int, row: bytes, above: bytes, step: int) -> bytes:
    if kind == 0:
        return row
    if kind == 1:
        return _sub(row, step)
    if kind == 2:
        return bytes((a + b) & 255 for a, b in zip(row, above, strict=True))
    if kind > 4:
        raise ValueError("no such filter")
    predict = _average if kind == 3 else _paeth
    done = bytearray(step)
    corner = bytes(step) + above
    for place, value in enumerate(row):
        done.append((value + predict(done[place], above[place], corner[place])) & 255)
    return bytes(done[step:])


def _sub(row: bytes, step: int) -> bytes:
    done = bytearray(len(row))
    for channel in range(step):
        done[channel::step] = bytes(value & 255 for value in accumulate(row[channel::step]))
    return bytes(done)


def _average(left: int, up: int, _: int) -> int:
    return (left + up) // 2


def _paeth(left: int, up: int, corner: int) -> int:
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


def _as_rgb(row: bytes, colour: int, palette: bytes) -> bytes:
    if colour == 2:
        return row
    done = bytearray(len(row) // _CHANNELS[colour] * 3)
    for channel in range(3):
        if colour == 3:
            done[channel::3] = bytes(palette[3 * index + channel] for index in row)
        elif colour == 0:
            done[channel::3] = row
        else:
            samples = row[0::2] if colour == 4 else row[channel::4]
            alpha = row[1::2] if colour == 4 else row[3::4]
            done[channel::3] = samples if min(alpha) == 255 else bytes(
                255 - (255 - sample) * opacity // 255 for sample, opacity in zip(samples, alpha, strict=True))
    return bytes(done)
