"""The images of an engine: what is known of one, how they are built and pulled, and how they travel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from sandbox_interpreter.frozen import frozen


@frozen
class ImageInfo:
    """An image that the engine has; ``size`` in bytes, ``id`` is the content digest of its configuration."""

    id: str
    tags: tuple[str, ...]
    size: int
    labels: Mapping[str, str]
    digests: tuple[str, ...] = ()
    created: str = ""
    volumes: tuple[str, ...] = ()
    """Paths at which the engine would mount a folder of its own, writable and of any size."""


@frozen
class Progress:
    """One step of a long operation: a line of text, and how far it is where that is known (bytes or steps)."""

    text: str
    done: int = 0
    total: int = 0


class ImageStore(Protocol):
    """The images of an engine. Its own protocol, since not every engine builds."""

    def image(self, reference: str) -> ImageInfo | None:
        """Return the image, or None if it is not present."""

    def build(self, context: BinaryIO, tag: str, *, build_args: Mapping[str, str], labels: Mapping[str, str],
              use_cache: bool = True) -> Iterator[Progress]:
        """Build ``tag`` from a tar archive with a Dockerfile, yielding progress. Raises BuildFailed."""

    def import_rootfs(self, tar: Path, tag: str) -> None:
        """Make an image from a tar archive of a root file system."""

    def pull(self, reference: str) -> Iterator[Progress]:
        """Pull an image, yielding progress. Raises ImageMissing when no registry has it or none answers."""

    def tag(self, image: str, tag: str) -> None:
        """Give an image one more name."""


class ImageTransport(Protocol):
    """How images get out of an engine and into another. Methods raise EngineUnreachable or EngineError."""

    def push(self, reference: str) -> Iterator[Progress]:
        """Send an image to the registry that its name says, yielding progress in bytes."""

    def export(self, references: Sequence[str]) -> Iterator[bytes]:
        """Yield images as one archive, in the form of ``docker save``, piece by piece."""

    def load(self, archive: BinaryIO) -> list[str]:
        """Return the names of the images that an archive held; the engine has them now, whatever was called so."""

    def remove(self, reference: str) -> None:
        """Take a name away from an image, and the image itself once nothing needs it. One that is gone is no error."""


@runtime_checkable
class IdentifiesImages(Protocol):
    """An engine that tells which very image a name stands for."""

    def image_id(self, reference: str) -> str | None:
        """Return the content digest of an image; None if it is not present."""


@runtime_checkable
class KeepsImages(Protocol):
    """An engine whose images can be listed, built and pulled."""

    def images(self) -> ImageStore:
        """Return the engine's image store."""


def images_of(engine: object) -> ImageStore | None:
    """Return an engine's image store, or None where the engine keeps no images."""
    return engine.images() if isinstance(engine, KeepsImages) else None
