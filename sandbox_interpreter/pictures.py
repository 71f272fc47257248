"""Pictures from a sandbox or a file: what they really are, and how large, read from their headers without decoding.

A name or a format that was claimed counts for nothing: the first bytes decide. The pixels are never touched here.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass

MOST_BYTES = 32 * 1024 * 1024
"""Bytes of a picture that is looked at."""


@dataclass(frozen=True)
class Picture:
    """A picture that is what it says: its bytes, its file suffix, and its size in pixels where that is known."""

    data: bytes
    suffix: str
    width: int = 0
    height: int = 0

    @property
    def kind(self) -> str:
        """Return the format as MIME types name it: ``jpeg`` for ``.jpg``."""
        return {".jpg": "jpeg", ".svg": "svg+xml"}.get(self.suffix, self.suffix[1:])


def from_base64(text: str) -> Picture | None:
    """Return the picture that a chunk's content is; None if it is none, or too large."""
    if len(text) > MOST_BYTES * 4 // 3:
        return None
    try:
        return identify(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


def identify(data: bytes) -> Picture | None:
    """Return what ``data`` is by its first bytes: PNG, JPEG, GIF, WebP or SVG; None for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") and len(data) >= 33:
        return Picture(data, ".png", *struct.unpack(">II", data[16:24]))
    if data.startswith(b"\xff\xd8\xff"):
        return Picture(data, ".jpg", *_jpeg_size(data))
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        return Picture(data, ".gif", *struct.unpack("<HH", data[6:10]))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Picture(data, ".webp", *_webp_size(data))
    if b"<svg" in data[:2000] and data.lstrip()[:1] == b"<":
        return Picture(data, ".svg")
    return None


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height from the frame header (ITU T.81, B.2.2); zeros if there is none."""
    position = 2
    while position + 9 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[position + 7:position + 9], "big"), int.from_bytes(
                data[position + 5:position + 7], "big")
        position += 2 + int.from_bytes(data[position + 2:position + 4], "big")
    return 0, 0


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height (RFC 9649, 2.5 to 2.7); zeros if they are not there."""
    kind = data[12:16]
    if len(data) < 30:
        return 0, 0
    if kind == b"VP8X":  # 24 bits each, less one
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":  # 14 bits each, less one, behind the signature byte
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack("<HH", data[26:30])  # 14 bits each; the other two scale
    return width & 0x3FFF, height & 0x3FFF
