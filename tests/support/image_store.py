"""An image store in memory: what is built, pulled or imported is there, and everything asked for is noted."""

from __future__ import annotations

import itertools
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sandbox_interpreter.engines.image_base import ImageInfo, Progress
from sandbox_interpreter.errors import ImageMissing


@dataclass
class Build:
    """One build that was asked for."""

    tag: str
    files: dict[str, bytes]
    arguments: Mapping[str, str]
    use_cache: bool


@dataclass
class MemoryStore:
    """Has no engine behind it; a build inherits the labels of its parent, as an engine's does."""

    in_registry: set[str] = field(default_factory=set)
    images: dict[str, ImageInfo] = field(default_factory=dict)
    builds: list[Build] = field(default_factory=list)
    asked_registry: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    def image(self, reference: str) -> ImageInfo | None:
        return self.images.get(reference)

    def build(self, context: BinaryIO, tag: str, *, build_args: Mapping[str, str], labels: Mapping[str, str],
              use_cache: bool = True) -> Iterator[Progress]:
        with tarfile.open(fileobj=context) as tar:
            files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]  # all are files
        self.builds.append(Build(tag, files, build_args, use_cache))
        parent = build_args.get("PARENT") or files["Dockerfile"].decode().split()[1]
        yield Progress("Step 1/1 : FROM", 1, 1)
        self.add(tag, {**self.images[parent].labels, **labels})

    def import_rootfs(self, tar: Path, tag: str) -> None:
        self.imported.append(tag)
        self.add(tag)

    def pull(self, reference: str) -> Iterator[Progress]:
        self.asked_registry.append(reference)
        if reference not in self.in_registry:
            raise ImageMissing(f"Image {reference!r} is not present and cannot be pulled: no registry answered")
        yield Progress("Pulling", 1, 2)
        self.add(reference)

    def tag(self, image: str, tag: str) -> None:
        self.images[tag] = self.images[image]

    def add(self, tag: str, labels: Mapping[str, str] | None = None) -> None:
        """Make an image present, with an identifier that no other has."""
        self.images[tag] = ImageInfo(f"sha256:{next(self._numbers):064}", (tag,), 1, labels or {})
