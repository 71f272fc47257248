"""Pictures made to fit, in a container."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Callable

import pytest

from sandbox_interpreter import pictures
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.inspection import Inspector
from sandbox_interpreter.models.gallery import MOST_BYTES, Gallery
from sandbox_interpreter.notices import Notices
from sandbox_interpreter.pictures import Picture
from sandbox_interpreter.reduction import SIDE, Reducer
from sandbox_interpreter.sandbox.launch import LABEL
from tests.support.pictures import png_of

PAINT = """
import io, os, sys
from PIL import Image
kind, mode, width, height, noise = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
size = (width, height)
picture = Image.new(mode, size, "white")
if noise == "noise":
    picture = Image.frombytes(mode, size, os.urandom(width * height * len(mode)))
made = io.BytesIO()
picture.save(made, kind, **({"lossless": True} if kind == "WEBP" else {}))
sys.stdout.buffer.write(made.getvalue())
"""
Paint = Callable[[str], Picture]


@pytest.fixture(scope="module")
def paint() -> Paint:
    """Give a function that has a real library make a picture of this format, mode, width and height."""
    def painted(words: str) -> Picture:
        with Inspector(Settings(), Notices()) as container:
            picture = pictures.identify(container.look(f"exec python3 -c {shlex.quote(PAINT)} {words}", b""))
        assert picture
        return picture

    return painted


@pytest.fixture
def reducer() -> Reducer:
    return Reducer(Settings(), Notices())


@pytest.mark.parametrize(("words", "kind", "size"), [
    ("PNG RGB 9000 90 plain", "png", (SIDE, 16)),
    ("PNG RGBA 40 8000 plain", "png", (8, SIDE)),
    ("PNG RGB 1500 1200 noise", "jpeg", (1500, 1200)),
    ("JPEG RGB 3000 2000 noise", "jpeg", (SIDE, 1045)),
    ("WEBP RGB 1400 1100 noise", "jpeg", (1400, 1100)),
    ("GIF L 3000 9000 plain", "png", (523, SIDE)),
])
def test_a_picture_is_made_to_fit(words: str, kind: str, size: tuple[int, int], paint: Paint, reducer: Reducer) -> None:
    before = paint(words)
    _, _, width, height, _ = words.split()
    assert (before.width, before.height) == (int(width), int(height))  # what is read from headers without a library
    made = reducer(before)
    assert made
    assert made.kind == kind
    assert made.width == pytest.approx(size[0], abs=1)
    assert made.height == pytest.approx(size[1], abs=1)
    assert len(made.data) < MOST_BYTES


def test_a_picture_that_is_too_large_is_sent_small(paint: Paint, reducer: Reducer) -> None:
    content = base64.b64encode(paint("PNG RGB 1500 1200 noise").data).decode()
    shown = Gallery(lambda: True, shrink=reducer).shown(
        [{"role": "computer", "type": "image", "format": "base64.png", "content": content}])
    assert shown[0]["image_url"]["url"].startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize("data", [
    png_of([b"\0\0\0" * 9000])[:60],
    png_of([b"\0\0\0"]).replace(b"\0\0\0\x01\0\0\0\x01\x08", b"\0\0\xff\xff\0\0\xff\xff\x08"),  # claims 4 gigapixels
    b"GIF89a\xff\xff\xff\xff" + bytes(100),
], ids=["cut off", "bomb", "garbage"])
def test_what_cannot_be_made_to_fit_is_left_out_and_that_is_said(data: bytes) -> None:
    notices = Notices()
    told: list[str] = []
    notices.listener = told.append
    picture = pictures.identify(data)
    assert picture
    assert Reducer(Settings(), notices)(picture) is None
    assert len(told) == 1
    assert told[0].startswith("A picture is too large for the model and could not be made smaller: ")


def test_each_picture_is_reduced_once_and_no_container_is_left(paint: Paint, reducer: Reducer,
                                                               engine: DockerEngine) -> None:
    picture = paint("PNG RGB 9000 20 plain")
    before = own_containers(engine)
    assert reducer(picture) is reducer(picture)
    assert own_containers(engine) <= before


def own_containers(engine: DockerEngine) -> set[str]:
    owners = {info.name: info.labels[f"{LABEL}.owner"] for info in engine.list({f"{LABEL}.owner": ""})}
    return {name for name, owner in owners.items() if f"/{os.getpid()}/" in owner}
