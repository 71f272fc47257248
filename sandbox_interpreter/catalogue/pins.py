"""Images pinned by their digests: what a project's lock says, and whether an image that is here is the one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.image_base import ImageInfo, ImageStore
from sandbox_interpreter.errors import ImageDiffers, ImageMissing

Provide = Callable[[str, ImageStore], object]
"""Makes an image present: what ``Sandbox(provide=…)`` takes."""


def of(name: str, locked: Mapping[str, str]) -> str | None:
    """Return the digest that an image is locked to, by its bundled name or its reference; None if it is not."""
    return locked.get(name) or locked.get(index.resolve(name))


def digests(info: ImageInfo) -> set[str]:
    """Return every digest that an image answers to: its configuration's, and its manifests' in registries."""
    return {info.id, *(each.rpartition("@")[2] for each in info.digests)}


def digest_to_lock(reference: str, info: ImageInfo) -> str:
    """Return the digest to lock an image to: its registry's, by which others can pull it, else its own."""
    repository = repository_of(reference)
    pushed = [each for each in info.digests if each.rpartition("@")[0] == repository]
    return pushed[0].rpartition("@")[2] if pushed else info.id


def repository_of(reference: str) -> str:
    """Return a reference without its tag or digest: ``host:5000/team/python`` of ``host:5000/team/python:1``."""
    name = reference.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def obtain(name: str, digest: str, store: ImageStore, provide: Provide) -> ImageInfo:
    """Return the image of that name if it is the one of that ``digest``; one that is absent is pulled by it.

    Raises ImageDiffers, which tells both digests, ImageMissing, or EngineError.
    """
    reference = index.resolve(name)
    info = store.image(reference)
    if info is None:
        if name in index.bundled():  # a build would make another one
            raise ImageMissing(f"The image {name!r} is locked to {digest}, and is not here.", next_step=(
                f"Load it: sbi images load FILE. Or take one of your own: sbi images build {name}, then "
                f"sbi images lock {name}"))
        by_digest = f"{repository_of(reference)}@{digest}"
        provide(by_digest, store)
        store.tag(by_digest, reference)
        info = store.image(reference)
    if info is None or digest not in digests(info):
        raise _differs(name, digest, digest_to_lock(reference, info) if info else "nothing")
    return info


def _differs(name: str, wanted: str, found: str) -> ImageDiffers:
    pull = "" if name in index.bundled() else f" To fetch that one: sbi images pull {name}."
    return ImageDiffers(f"The image {name!r} is not the one that is locked: the lock says {wanted}, here is {found}.",
                        next_step=f"Find out who changed it.{pull} To take the one that is here: "
                                  f"sbi images lock {name}")
