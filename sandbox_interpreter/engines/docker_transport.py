"""Images on their way out of an engine and in: to registries, and as archives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from docker import APIClient, auth
from docker.errors import APIError, NotFound
from docker.utils import parse_repository_tag

from sandbox_interpreter.engines.docker_client import translated
from sandbox_interpreter.engines.docker_output import clean, events_of, push_progress
from sandbox_interpreter.engines.image_base import Progress
from sandbox_interpreter.errors import EngineError, ImageMissing

_PIECE = 1024 * 1024
# What Docker and Podman say of each image in an archive.
_LOADED = re.compile(r"Loaded image(?:\(s\))?(?: ID)?: (\S+)")


class DockerTransport:
    """The way in and out of the engine behind ``api``. Credentials for registries are those of ``docker login``."""

    def __init__(self, api: APIClient) -> None:
        self._api = api

    def push(self, reference: str) -> Iterator[Progress]:
        """Send an image to the registry that its name says. Raises ImageMissing, EngineError."""
        try:
            events = translated(lambda: self._api.push(reference, stream=True, decode=True), "push an image")
            yield from push_progress(reference, events_of(events, "push it"))
        except NotFound:
            raise _absent(reference) from None

    def export(self, references: Sequence[str]) -> Iterator[bytes]:
        """Yield images as one archive. Raises ImageMissing before the first piece."""
        url = f"{self._api.base_url}/v{self._api.api_version}/images/get"
        answer = translated(lambda: self._api.get(url, params={"names": list(references)}, stream=True), "save images")
        try:
            if not answer.ok:
                raise _absent(" ".join(references))
            pieces = answer.iter_content(_PIECE)
            while piece := translated(lambda: next(pieces, b""), "save images"):
                yield piece
        finally:
            answer.close()

    def load(self, archive: BinaryIO) -> list[str]:
        """Return the names, or where there are none the identifiers, of the images that an archive held."""
        events = translated(
            lambda: self._api.load_image(archive, quiet=False), "load an archive")  # type: ignore[no-untyped-call]  # so in the stubs
        loaded: list[str] = []
        fault = ""
        for event in events_of(events, "load an archive"):
            fault = fault or str(event.get("error", ""))
            loaded += [clean(name) for name in _LOADED.findall(str(event.get("stream", "")))]
        if fault or not loaded:
            raise EngineError(f"The engine could not load the archive: {clean(fault) or 'it holds no image'}",
                              next_step="Make it anew: sbi images save FILE NAME")
        return loaded

    def remove(self, reference: str) -> None:
        """Take a name away from an image. Raises EngineError while a container uses it."""
        def untag() -> None:
            try:
                self._api.remove_image(reference)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != 404:
                    raise

        translated(untag, "remove an image")


def names_registry(reference: str) -> bool:
    """Tell whether a reference names the registry that it is in; without one, it is in the engine's default one."""
    registry, _ = auth.resolve_repository_name(parse_repository_tag(reference)[0])
    return bool(registry != auth.INDEX_NAME)


def _absent(reference: str) -> ImageMissing:
    return ImageMissing(f"The image {reference!r} is not present.",
                        next_step="See what there is: docker images; a bundled one: sbi images build NAME")
