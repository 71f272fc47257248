"""Which very image a sandbox starts from, and what that image itself takes away from the policy."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sandbox_interpreter.catalogue import index, pins
from sandbox_interpreter.catalogue.labels import POLICY_LABEL
from sandbox_interpreter.config import convert, tightens
from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.engines.image_base import ImageInfo, ImageStore, Progress, images_of
from sandbox_interpreter.errors import ConfigError, ImageDiffers, ImageMissing
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.values import written

TIGHTENABLE = frozenset(field.name for field in dataclasses.fields(Policy)) & {
    "network", "memory", "cpus", "pids", "timeout", "idle", "output", "disk"}
"""What an image may tighten of the policy; the network, to none alone."""


class Choice(NamedTuple):
    """What to start, as the engine knows it, and under which policy."""

    reference: str
    policy: Policy


def settle(image: str, policy: Policy, engine: ContainerEngine, *, locked: Mapping[str, str], provide: pins.Provide,
           notify: Callable[[str], None]) -> Choice:
    """Return what to start for ``image``; one that is locked is obtained, and named by its identifier.

    A bundled image that is not locked costs the engine no question. Raises ImageDiffers, ImageMissing, EngineError;
    ConfigError for an image that asks for a policy which cannot be understood.
    """
    reference = index.resolve(image)
    digest = pins.of(image, locked)
    if digest is None and reference != image:
        return Choice(reference, policy)
    images = images_of(engine)
    if images is None:
        if digest:
            raise ImageDiffers(f"The image {image!r} is locked to {digest}, and this engine tells no digests.",
                               next_step="Use another engine, or take the image out of the setting lock.")
        return Choice(reference, policy)
    if digest:
        info: ImageInfo | None = pins.obtain(image, digest, images, provide)
    elif (info := images.image(reference)) is None:
        provide(image, images)
        info = images.image(reference)
    if info is None:
        raise ImageMissing(f"The image {image!r} is not present.", next_step=f"Run: sbi images pull {image}")
    return Choice(info.id if digest else reference, tightened(policy, image, info, notify))


def print_notice(text: str) -> None:
    """Tell whoever gave no other place for notices."""
    print(text, file=sys.stderr)  # noqa: T201  # that is its use


def announced(notify: Callable[[str], None]) -> pins.Provide:
    """Return what builds or pulls an image that is missing, and tells ``notify`` of it."""
    def announce(step: Progress) -> None:
        if not step.total:  # what is counted is for a bar; a notice for each line of a build would be a flood
            notify(step.text)

    def provide(image: str, images: ImageStore) -> None:
        from sandbox_interpreter.catalogue.build import ensure

        ensure(image, images, announce)

    return provide


def tightened(policy: Policy, image: str, info: ImageInfo, notify: Callable[[str], None]) -> Policy:
    """Return ``policy`` as the image's label narrows it; what the label would widen stays as it is."""
    wanted = wanted_by(image, info)
    changes = {name: value for name, value in wanted.items()
               if value != getattr(policy, name) and tightens(name, value, getattr(policy, name))}
    if changes:
        said = ", ".join(f"{name} {value}" for name, value in _written(changes).items())
        notify(f"The image {image} limits what runs in it: {said}.")
    return dataclasses.replace(policy, **changes)


def wanted_by(image: str, info: ImageInfo) -> dict[str, Any]:
    """Return the limits that an image's label names, by the names of their settings. Raises ConfigError."""
    text = info.labels.get(POLICY_LABEL)
    if not text:
        return {}
    import json  # bundled images never come here

    place = f"The image {image!r}, label {POLICY_LABEL}: "
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not TIGHTENABLE.issuperset(told) or told.get("network", "none") != "none":
        raise ConfigError(f"{place}this is no map of limits.", next_step="Take another image, or make this one anew.")
    return {name: convert(name, value, place=place) for name, value in told.items()}


def _written(changes: Mapping[str, Any]) -> dict[str, str]:
    return {name: written(value, size=name in ("memory", "output", "disk")) for name, value in changes.items()}
