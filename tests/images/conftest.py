from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import NotFound

from sandbox_interpreter.catalogue.index import BundledImage
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.image_base import ImageStore


@pytest.fixture
def store(engine: DockerEngine) -> ImageStore:
    return engine.images()


@pytest.fixture
def throwaway(engine: DockerEngine, tmp_path: Path) -> Iterator[BundledImage]:
    """Give an image of this test's own that stands on the base; its folder is empty, and it is removed afterwards."""
    folder = tmp_path / "image"
    folder.mkdir()
    image = BundledImage(f"test-{secrets.token_hex(4)}", "base", ("shell",), "d", "d", folder)
    yield image
    with contextlib.suppress(NotFound):
        engine.client.remove_image(image.tag, force=True)
