"""An ImageStore over the Docker Engine API, as Docker, Podman and remote engines speak it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import requests.exceptions
from docker import APIClient, auth
from docker.errors import APIError, NotFound
from docker.utils import parse_repository_tag

from sandbox_interpreter.engines.docker_client import translated
from sandbox_interpreter.engines.docker_output import (
    Stages,
    build_progress,
    clean,
    events_of,
    not_pulled,
    pull_progress,
)
from sandbox_interpreter.engines.image_base import ImageInfo, Progress
from sandbox_interpreter.errors import EngineError, EngineUnreachable, ImageMissing

ANSWER_SECONDS = 6.0
"""Time that a registry has to say whether it has an image; a machine without a route must not wait for long."""


class DockerImages:
    """The images of the engine behind ``api``. Methods raise EngineUnreachable or EngineError."""

    def __init__(self, api: APIClient) -> None:
        self._api = api

    def image(self, reference: str) -> ImageInfo | None:
        """Return the image, or None if it is not present."""
        try:
            found: dict[str, Any] = translated(
                lambda: self._api.inspect_image(reference), "inspect an image")  # type: ignore[no-untyped-call]  # so in the stubs
        except NotFound:
            return None
        inner = found.get("Config") or {}
        return ImageInfo(id=found["Id"], tags=tuple(found.get("RepoTags") or ()), size=found.get("Size", 0),
                         labels=inner.get("Labels") or {}, digests=tuple(found.get("RepoDigests") or ()),
                         created=found.get("Created", ""), volumes=tuple(inner.get("Volumes") or ()))

    def build(self, context: BinaryIO, tag: str, *, build_args: Mapping[str, str], labels: Mapping[str, str],
              use_cache: bool = True) -> Iterator[Progress]:
        """Build ``tag`` from a tar archive with a Dockerfile; yield each line of output with the step that it is of.

        Stages before the last are removed once the image is there: they take room, and may hold what is not to stay.
        Raises BuildFailed with the last lines of the output.
        """
        events = translated(lambda: self._api.build(
            fileobj=context, custom_context=True, tag=tag, buildargs=dict(build_args), labels=dict(labels),
            nocache=not use_cache, rm=True, forcerm=True, decode=True), "build an image")
        stages = Stages()
        yield from build_progress(tag, stages.noting(events_of(events, "build an image")))
        for stage in stages.thrown_away:
            self._remove_unnamed(stage)

    def _remove_unnamed(self, image_id: str) -> None:
        info = self.image(image_id)
        # A stage that changes nothing is its parent itself, and that has a name.
        if info and not info.tags and not info.digests:
            with suppress(APIError):  # another build stands on it
                self._api.remove_image(image_id)

    def import_rootfs(self, tar: Path, tag: str) -> None:
        """Make an image that starts bash from a tar archive of a root file system."""
        name, version = parse_repository_tag(tag)
        answer = translated(lambda: self._api.import_image(
            src=str(tar), repository=name, tag=version, changes=['CMD ["bash"]']), "import an image")
        for line in str(answer).splitlines():
            if fault := json.loads(line).get("error"):
                raise EngineError(f"The engine could not import {tag}: {clean(fault)}",
                                  next_step="See the engine's log, and whether its disk is full.")

    def pull(self, reference: str) -> Iterator[Progress]:
        """Pull an image, yielding progress in bytes. Raises ImageMissing when no registry has it or none answers."""
        self._ask_registry(reference)
        try:
            events = translated(lambda: self._api.pull(reference, stream=True, decode=True), "pull it")
            yield from pull_progress(reference, events_of(events, "pull it"))
        except NotFound as error:
            raise not_pulled(reference, error.explanation or str(error)) from None
        except EngineUnreachable:
            raise
        except EngineError as error:  # Podman fails the request where Docker reports the fault in the stream
            raise (error if isinstance(error, ImageMissing) else not_pulled(reference, str(error))) from None

    def tag(self, image: str, tag: str) -> None:
        """Give an image one more name."""
        name, version = parse_repository_tag(tag)
        translated(lambda: self._api.tag(image, name, version), f"tag {image}")

    def _ask_registry(self, reference: str) -> None:
        # A pull itself has no bound on how long a registry may stay silent; this question has one.
        registry, _ = auth.resolve_repository_name(parse_repository_tag(reference)[0])
        header = auth.get_config_header(self._api, registry)
        url = f"{self._api.base_url}/v{self._api.api_version}/distribution/{reference}/json"
        answer = translated(lambda: self._get(url, {"X-Registry-Auth": header} if header else {}), "ask a registry")
        if answer is None:
            raise not_pulled(reference, f"no registry answered within {ANSWER_SECONDS:.0f} s")
        # Any other status is left to the pull: Podman, for one, does not know this question.
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise not_pulled(reference, str(answer.json().get("message", answer.reason)))

    def _get(self, url: str, headers: Mapping[str, str | bytes]) -> requests.Response | None:
        try:
            return self._api.get(url, timeout=ANSWER_SECONDS, headers=headers)
        except requests.exceptions.Timeout:
            return None
