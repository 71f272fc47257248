"""How a terminal shows pictures that code drew."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sandbox_interpreter.pictures import Picture
from sandbox_interpreter.terminal import png, sixel

Protocol = Literal["kitty", "iterm2", "sixel"]

_MOST_PIXELS = 20_000_000
"""Pixels of a picture that is handed to the terminal: 80 MB when it is decoded there."""
_MOST_PIXELS_HERE = 2_000_000
"""Pixels of a picture that is decoded here, in plain Python; about three seconds."""
_PIECE = 4096
"""Characters of base64 in one kitty escape, the most that its specification allows."""


@dataclass(frozen=True)
class Space:
    """The room for a picture: columns of the terminal, and the size of a cell in pixels."""

    columns: int
    cell_width: int = 8
    cell_height: int = 16


def protocol_of(environment: Mapping[str, str]) -> Protocol | None:
    """Return the picture protocol of the terminal that the environment tells of; None where it is not sure.

    A multiplexer between would swallow the pictures or garble them, so there are none inside tmux and screen.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if {"TMUX", "STY", "ZELLIJ"} & environment.keys() or term.startswith(("screen", "tmux")):
        return None
    if "KITTY_WINDOW_ID" in environment or term in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if program in ("iTerm.app", "WezTerm", "mintty") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm2"
    if _number(environment.get("KONSOLE_VERSION", "")) >= 220400:
        return "iterm2"
    if term.split("-")[0] in ("foot", "mlterm", "contour", "yaft") or program == "contour":
        return "sixel"
    return None


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def inline(picture: Picture, protocol: Protocol, space: Space) -> str | None:
    """Return the escape sequence that shows ``picture``; None if it cannot be shown that way, or had better not be."""
    if not 0 < picture.width * picture.height <= _MOST_PIXELS:
        return None
    if picture.suffix == ".jpg":
        return _iterm2(picture, picture.data, space) if protocol == "iterm2" else None
    data = png.essential(picture.data) if picture.suffix == ".png" else None
    if data is None:
        return None
    if protocol == "sixel":
        return _sixel(picture, data, space)
    return _kitty(picture, data, space) if protocol == "kitty" else _iterm2(picture, data, space)


def _columns(picture: Picture, space: Space) -> int:
    """Return the columns that the picture takes, which are all there are if it is wider."""
    return max(1, min(space.columns, -(-picture.width // space.cell_width)))


def _kitty(picture: Picture, data: bytes, space: Space) -> str:
    text = base64.b64encode(data).decode("ascii")
    pieces = [text[start:start + _PIECE] for start in range(0, len(text), _PIECE)]
    # q=2: the terminal must not answer, for the answer would be typed into the next prompt.
    heads = [f"a=T,f=100,q=2,c={_columns(picture, space)},", *[""] * (len(pieces) - 1)]
    return "".join(f"\x1b_G{head}m={int(number < len(pieces))};{piece}\x1b\\"
                   for number, (head, piece) in enumerate(zip(heads, pieces, strict=True), 1))


def _iterm2(picture: Picture, data: bytes, space: Space) -> str:
    text = base64.b64encode(data).decode("ascii")
    return f"\x1b]1337;File=inline=1;size={len(data)};width={_columns(picture, space)};preserveAspectRatio=1:{text}\x07"


def _sixel(picture: Picture, data: bytes, space: Space) -> str | None:
    if picture.width * picture.height > _MOST_PIXELS_HERE:
        return None
    rows = png.decode(data)
    return sixel.encode(rows, space.columns * space.cell_width) if rows else None
