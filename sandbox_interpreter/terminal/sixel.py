"""Pictures as sixels: DEC's way to draw in a terminal, six rows of pixels a band (VT330/340 manual, chapter 14)."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator

_COLOURS = 240
"""Colours of a picture; terminals have 256 or more registers."""
Pixels = list[list[int]]


def encode(rows: list[bytes], width: int) -> str:
    """Return the escape sequence that draws ``rows`` of RGB bytes, shrunk to ``width`` pixels if they are wider."""
    pixels = _shrunk(rows, width)
    palette, registers = _quantised(pixels)
    colours = "".join(f"#{number};2;{_percent(colour >> 16)};{_percent(colour >> 8)};{_percent(colour)}"
                      for number, colour in enumerate(palette))
    size = f'"1;1;{len(pixels[0])};{len(pixels)}'
    bands = "-".join(_band(pixels[top:top + 6], registers) for top in range(0, len(pixels), 6))
    return f"\x1bP0;1q{size}{colours}{bands}\x1b\\"


def _shrunk(rows: list[bytes], width: int) -> Pixels:
    columns = len(rows[0]) // 3
    scale = max(1.0, columns / max(1, width))
    across = [int(x * scale) for x in range(max(1, int(columns / scale)))]
    down = [int(y * scale) for y in range(max(1, int(len(rows) / scale)))]
    return [[int.from_bytes(rows[y][3 * x:3 * x + 3], "big") for x in across] for y in down]


def _quantised(pixels: Pixels) -> tuple[list[int], dict[int, int]]:
    """Return a palette, and the place in it of each colour that occurs: median cut (Heckbert 1982).

    The most frequent colour of a box stands for it, not the mean: a white background stays white.
    """
    counts = Counter(itertools.chain.from_iterable(pixels))
    boxes = _boxes(list(counts))
    palette = [max(box, key=counts.__getitem__) for box in boxes]
    return palette, {colour: number for number, box in enumerate(boxes) for colour in box}


def _boxes(colours: list[int]) -> list[list[int]]:
    order = itertools.count()  # settles ties, so that boxes themselves are never compared
    heap = [(_spread(colours), next(order), colours)]
    while len(heap) < _COLOURS and heap[0][0][0] < 0:
        (_, shift), _, box = heapq.heappop(heap)
        box.sort(key=lambda colour: colour >> shift & 255)
        for half in (box[:len(box) // 2], box[len(box) // 2:]):
            heapq.heappush(heap, (_spread(half), next(order), half))
    return [box for _, _, box in heap]


def _spread(box: list[int]) -> tuple[int, int]:
    """Return the widest range of a channel, negative so that a heap yields the widest first, and that channel."""
    return min((min(channel) - max(channel), shift) for shift in (16, 8, 0)
               for channel in [[colour >> shift & 255 for colour in box]])


def _percent(channel: int) -> int:
    return round((channel & 255) * 100 / 255)


def _band(rows: Pixels, registers: dict[int, int]) -> str:
    width = len(rows[0])
    masks: dict[int, bytearray] = {}
    for bit, row in enumerate(rows):
        for x, colour in enumerate(row):
            register = registers[colour]
            if register not in masks:
                masks[register] = bytearray(width)
            masks[register][x] |= 1 << bit
    return "$".join(f"#{register}" + "".join(_runs(mask)) for register, mask in masks.items())


def _runs(mask: bytearray) -> Iterator[str]:
    for value, group in itertools.groupby(mask.rstrip(b"\0")):
        count = sum(1 for _ in group)
        character = chr(63 + value)
        yield f"!{count}{character}" if count > 3 else character * count
