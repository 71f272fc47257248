"""Images: what a build costs that finds nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

from bench.measure import Figure, timed
from bench.raw import RawEngine
from sandbox_interpreter.catalogue import build, index
from sandbox_interpreter.catalogue.index import BundledImage


def figures(raw: RawEngine) -> Iterator[Figure]:
    """Yield the slowest image's time."""
    yield Figure("the slowest image's build with nothing changed", max(_again(raw, each) for each in
                 index.bundled().values()), "ms", 5000.0)


def _again(raw: RawEngine, image: BundledImage) -> float:
    def ours() -> None:
        list(build.build(image, raw.engine.images(), build.options()))

    ours()  # whatever is not up to date is built here
    return timed(ours)
