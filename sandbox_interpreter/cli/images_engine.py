"""The engine whose images a command is about, and the images that people name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from sandbox_interpreter import config
from sandbox_interpreter.catalogue import index
from sandbox_interpreter.cli.options import ENGINE
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.image_base import ImageInfo, ImageStore
from sandbox_interpreter.errors import ImageMissing

if TYPE_CHECKING:
    from sandbox_interpreter.engines.docker import DockerEngine

Engine = Annotated[str | None, ENGINE.option()]


def settings_of(engine: str | None) -> Settings:
    """Return the settings in force, ``engine`` on top. Raises ConfigError."""
    return config.load({"engine": engine})


@contextmanager
def engine_of(settings: Settings) -> Iterator[DockerEngine]:
    """Give the engine that the settings name. Raises EngineUnreachable."""
    from sandbox_interpreter.engines.docker import DockerEngine

    engine = DockerEngine(settings.engine)
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def store_of(settings: Settings) -> Iterator[ImageStore]:
    """Give the images of that engine. Raises EngineUnreachable."""
    with engine_of(settings) as engine:
        yield engine.images()


def present(name: str, store: ImageStore) -> ImageInfo:
    """Return the image that a bundled name or a reference means. Raises ImageMissing, and UsageError for a slip."""
    if info := store.image(index.resolve(name)):
        return info
    if name in index.bundled():
        raise ImageMissing(f"Image {name!r} is not built.", next_step=f"Run: sbi images build {name}")
    if name.isidentifier():
        index.find(name)  # a bare word that no image is called by was meant to be a bundled one
    raise ImageMissing(f"The image {name!r} is not present.", next_step=f"Run: sbi images pull {name}")
