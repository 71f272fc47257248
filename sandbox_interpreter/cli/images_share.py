"""sbi images push, pull, save and load: images on their way to a registry, a file, and other machines."""

from __future__ import annotations

import gzip
import io
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from sandbox_interpreter.catalogue import index, pins
from sandbox_interpreter.catalogue.labels import CA_LABEL
from sandbox_interpreter.cli import progress, report
from sandbox_interpreter.cli.images_engine import Engine, engine_of, present, settings_of
from sandbox_interpreter.engines.image_base import Progress
from sandbox_interpreter.errors import ImageDiffers, UsageError
from sandbox_interpreter.values import parse_locks

if TYPE_CHECKING:
    from sandbox_interpreter.engines.docker import DockerEngine

_PIECE = 1024 * 1024

Source = Annotated[str, typer.Argument(metavar="NAME|REF", help="A bundled image, or any other that is here.")]
Target = Annotated[str | None, typer.Argument(metavar="[REF]", help="What to call it: HOST/NAME:TAG.",
                                              show_default=False)]
Wanted = Annotated[str | None, typer.Argument(metavar="[REF]", help="HOST/NAME:TAG, or HOST/NAME@DIGEST.",
                                              show_default=False)]
File = Annotated[Path, typer.Argument(metavar="FILE", help="An archive; .gz at its end packs it.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME|REF]...", show_default=False,
                                                   help="Images that are here; without one, the one of the settings.")]


def push(name: Source, target: Target = None, *, engine: Engine = None,
         allow_ca: Annotated[bool, typer.Option(
             "--allow-ca", help="Send it although it trusts certificates of your own.")] = False) -> None:
    """Send an image to a registry, and print the digest by which others can pull it.

    Who you are to the registry is what docker login has written down.
    """
    from sandbox_interpreter.engines.docker_transport import names_registry

    reference = target or name
    if not names_registry(reference):  # nothing of a team's is sent to the engine's default one by a slip
        short = name.partition(":")[0].rpartition("/")[2]
        raise UsageError(f"{reference!r} names no registry.",
                         next_step=f"Say where to: sbi images push {name} registry.example/team/{short}:1")
    settings = settings_of(engine)
    with engine_of(settings) as reached:
        store = reached.images()
        info = present(name, store)
        if not allow_ca:
            _refuse_certificates(name, info.labels.get(CA_LABEL), reached)
        if target:
            store.tag(info.id, target)
        progress.show(reached.transport().push(reference), plain=settings.plain)
        typer.echo(_pinned(reference, reached))


def pull(reference: Wanted = None, *, engine: Engine = None) -> None:
    """Fetch an image from a registry, and print its digest.

    Without REF it is the one of the settings. One that the project has locked is fetched by its digest.
    """
    settings = settings_of(engine)
    wanted = reference or settings.image
    if wanted in index.bundled():
        raise UsageError(f"{wanted!r} is a bundled image, which no registry has.",
                         next_step=f"Build it: sbi images build {wanted}")
    with engine_of(settings) as reached:
        store = reached.images()

        def fetch(name: str, _: object) -> None:
            progress.show(store.pull(name), plain=settings.plain)

        digest = pins.of(wanted, parse_locks(settings.lock))
        if digest is None:
            fetch(wanted, store)
        else:
            _fetch_locked(wanted, digest, reached, fetch)
        typer.echo(_pinned(wanted, reached))


def save(file: File, names: Names = None, *, engine: Engine = None) -> None:
    """Write images into one file, for machines without a registry; a bundled one with those that it stands on."""
    settings = settings_of(engine)
    with engine_of(settings) as reached:
        found = [(each, present(each, reached.images())) for each in names or [settings.image]]
        references = [tag for name, _ in found for tag in _with_parents(name, reached)]
        total = sum(info.size for _, info in found)
        # A name that nobody can guess: in a folder that sandboxes share, a link could wait for us there.
        part = file.with_name(f"{file.name}.{secrets.token_hex(8)}.part")
        try:
            with progress.view(plain=settings.plain) as view:
                _write(part, reached.transport().export(references), packed=file.suffix == ".gz", step=lambda done: (
                    view.update(Progress(f"Saving {file}", min(done, total), total))))
            part.replace(file)
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}.", next_step="Choose another.") from None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    for name, info in found:
        typer.echo(f"{name}  {info.id}")


def load(file: File, *, engine: Engine = None) -> None:
    """Take images out of a file that sbi images save or docker save has written, and print what they are called."""
    settings = settings_of(engine)
    with engine_of(settings) as reached:
        try:
            with file.open("rb") as archive, progress.view(plain=settings.plain) as view:
                total = file.stat().st_size
                loaded = reached.transport().load(io.BufferedReader(_Counted(
                    archive, lambda done: view.update(Progress(f"Loading {file}", done, total)))))
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.", next_step="Name another.") from None
        for name in loaded:
            info = reached.images().image(name)
            typer.echo(f"{name}  {info.id}" if info else name)


def _refuse_certificates(name: str, label: str | None, engine: DockerEngine) -> None:
    """Raise UsageError for an image that trusts what this host alone may have reason to trust."""
    from sandbox_interpreter.verification import archive, files

    added = [] if label else files.added_certificates(archive.read(engine.transport().export([index.resolve(name)])))
    if label or added:
        what = f"the certificates with the digest {label[:12]}…" if label else added[0]
        raise UsageError(f"The image {name!r} trusts certificates of your own: {what}. Who pulls it trusts them too.",
                         next_step="Build it --without-ca. If it is meant: sbi images push --allow-ca …")


def _fetch_locked(reference: str, digest: str, engine: DockerEngine, fetch: Callable[[str, object], None]) -> None:
    """Fetch by its digest what the lock names, in the place of whatever is called ``reference`` here."""
    store = engine.images()
    try:
        pins.obtain(reference, digest, store, fetch)
    except ImageDiffers as error:
        report.say(f"{error} The locked one is fetched.")
        by_digest = f"{pins.repository_of(reference)}@{digest}"
        fetch(by_digest, store)
        store.tag(by_digest, reference)


def _pinned(reference: str, engine: DockerEngine) -> str:
    info = present(reference, engine.images())
    return f"{pins.repository_of(reference)}@{pins.digest_to_lock(reference, info)}"


def _with_parents(name: str, engine: DockerEngine) -> Iterator[str]:
    image = index.bundled().get(name)
    if image is None:
        yield name
    else:  # they share their layers, so the parents' names cost nothing, and a build on them needs no other
        yield from (each.tag for each in index.lineage(image) if engine.images().image(each.tag))


def _write(path: Path, pieces: Iterator[bytes], *, packed: bool, step: Callable[[int], None]) -> None:
    done = 0
    with path.open("xb") as file:
        packer = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=3) if packed else None
        for piece in pieces:
            (packer or file).write(piece)
            done += len(piece)
            step(done)
        if packer:
            packer.close()


class _Counted(io.RawIOBase):
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, step: Callable[[int], None]) -> None:
        self._file, self._step = file, step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._file.read(min(len(buffer), _PIECE))
        buffer[:len(piece)] = piece
        self._step(self._file.tell())
        return len(piece)
