"""Building the bundled images: parents first, and nothing that is up to date."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox_interpreter.agent import boot
from sandbox_interpreter.catalogue import bootstrap, certificates, context, host, index, trust
from sandbox_interpreter.catalogue.certificates import Certificates
from sandbox_interpreter.catalogue.index import BundledImage
from sandbox_interpreter.catalogue.labels import CA_LABEL as CA_LABEL
from sandbox_interpreter.catalogue.labels import CONTEXT_LABEL as CONTEXT_LABEL
from sandbox_interpreter.catalogue.labels import NAME_LABEL as NAME_LABEL
from sandbox_interpreter.catalogue.labels import PARENT_LABEL as PARENT_LABEL
from sandbox_interpreter.catalogue.lock import BuildLock
from sandbox_interpreter.engines.image_base import ImageInfo, ImageStore, Progress
from sandbox_interpreter.errors import ConfigError, ImageMissing


@dataclass(frozen=True)
class BuildOptions:
    """How to build.

    ``use_cache``: take over what is unchanged. ``ca``: certificates that are trusted while building.
    ``with_ca``: whether the image itself trusts them too, at run time; None: one that trusted some does so again.
    """

    use_cache: bool = True
    ca: Certificates | None = None
    with_ca: bool | None = None


def options(ca_bundle: str | None = None, *, use_cache: bool = True,
            with_ca: bool | None = None) -> BuildOptions:
    """Return build options with the certificates that the setting or the host names. Raises ConfigError."""
    found = certificates.find(ca_bundle, os.environ)
    if with_ca and not found:
        raise ConfigError("There is no CA bundle to put into the image.",
                          next_step="Name one: set ca_bundle in the config file, or SSL_CERT_FILE in the environment.")
    return BuildOptions(use_cache=use_cache, ca=found, with_ca=with_ca)


def stale(image: BundledImage, store: ImageStore) -> str | None:
    """Return why the image has to be built ("is not built yet", …), or None when it is up to date."""
    info = store.image(image.tag)
    return _files_changed(image, info) or _parent_changed(image, info, store)


def needs_build(image: BundledImage, store: ImageStore) -> bool:
    """Tell whether the image is missing or no longer what its files and its parent would make."""
    return stale(image, store) is not None


def build(image: BundledImage, store: ImageStore, how: BuildOptions) -> Iterator[Progress]:
    """Build ``image`` and the parents that need it, yielding progress; one build at a time on this machine.

    Raises BuildFailed, EngineError, or ImageMissing when the lowest parent cannot be had.
    """
    with BuildLock() as lock:
        if not lock.try_acquire():
            yield Progress("Waiting for another build to end")
            lock.acquire()
        for each in index.lineage(image)[:-1]:
            yield from _build_one(each, store, BuildOptions(ca=how.ca))
        yield from _build_one(image, store, how)


def ensure(name: str, store: ImageStore, on_progress: Callable[[Progress], None], *,
           ca_bundle: str | None = None) -> str:
    """Return the reference of an image that is present: a bundled one is built if need be, another one pulled.

    A bundled image whose parent alone was rebuilt is taken as it is; `sbi images build` renews it. Raises
    BuildFailed, EngineError, ConfigError, or ImageMissing.
    """
    image = index.bundled().get(name)
    if image is None:
        return _ensure_foreign(name, store, on_progress)
    if why := _files_changed(image, store.image(image.tag)):
        on_progress(Progress(f"Image {image.name!r} {why}; building it once. This takes a minute or two."))
        for progress in build(image, store, options(ca_bundle)):
            on_progress(progress)
    return image.tag


def _ensure_foreign(reference: str, store: ImageStore, on_progress: Callable[[Progress], None]) -> str:
    if store.image(reference) is None:
        on_progress(Progress(f"Image {reference!r} is not present; pulling it."))
        try:
            for progress in store.pull(reference):
                on_progress(progress)
        except ImageMissing as missing:
            near = difflib.get_close_matches(reference, index.bundled(), n=1)
            raise ImageMissing(str(missing), next_step=f"Did you mean the bundled image {near[0]!r}?" if near
                               else missing.next_step) from None
    return reference


def _files_changed(image: BundledImage, info: ImageInfo | None) -> str | None:
    if info is None:
        return "is not built yet"
    return None if info.labels.get(CONTEXT_LABEL) == context.digest(image) else "was built from other files"


def _parent_changed(image: BundledImage, info: ImageInfo | None, store: ImageStore) -> str | None:
    # A parent that is absent cannot have changed: an image that was loaded from a file stands alone.
    parent = store.image(index.resolve(image.parent))
    known = info and info.labels.get(PARENT_LABEL)
    return None if parent is None or parent.id == known else "was built on another parent"


def _build_one(image: BundledImage, store: ImageStore, how: BuildOptions) -> Iterator[Progress]:
    if how.use_cache and not (why := _outdated(image, store, how)):
        yield Progress(f"{image.tag} is up to date")
        return
    yield Progress(f"Building {image.tag}" + (f": it {why}" if how.use_cache else ""))
    parent = index.resolve(image.parent)
    if image.parent not in index.bundled():
        yield from bootstrap.provide(parent, store, how.ca)
    trust_it = bool(_trusted(store, image.tag)) if how.with_ca is None else how.with_ca
    yield from _run_dockerfile(image, parent, store, how)
    if trust_it and how.ca and _trusted(store, image.tag) != how.ca.digest:
        yield from store.build(context.archive(trust.layer(image.tag, how.ca)), image.tag, build_args={},
                               labels={CA_LABEL: how.ca.digest}, use_cache=how.use_cache)
    yield Progress(f"Built {image.tag}")


def _outdated(image: BundledImage, store: ImageStore, how: BuildOptions) -> str | None:
    why = stale(image, store)
    if why or how.with_ca is None:
        return why
    # Without a wish of its own an image trusts what its parent trusts.
    wanted = how.ca.digest if how.with_ca and how.ca else _trusted(store, index.resolve(image.parent))
    return None if _trusted(store, image.tag) == wanted else "trusts other certificates"


def _trusted(store: ImageStore, reference: str) -> str:
    info = store.image(reference)
    return info.labels.get(CA_LABEL, "") if info else ""


def _run_dockerfile(image: BundledImage, parent: str, store: ImageStore, how: BuildOptions) -> Iterator[Progress]:
    contents = context.files(image.folder)
    if image.parent not in index.bundled():
        # Not part of the digest: an image whose compiled agent is of another version starts slower, and works.
        contents["agent"] = boot.bundle()
    if how.ca:
        contents["host-ca.crt"] = how.ca.pem
    info = store.image(parent)
    labels = {NAME_LABEL: image.name, CONTEXT_LABEL: context.digest(image), PARENT_LABEL: info.id if info else ""}
    arguments = {"PARENT": parent} | host.build_arguments(os.environ) | host.indexes(os.environ)
    yield from store.build(context.archive(contents), image.tag, build_args=arguments, labels=labels,
                           use_cache=how.use_cache)
