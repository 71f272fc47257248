"""sbi images: list, build and inspect the bundled images; what else can be done with images is beside this."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox_interpreter.catalogue import build as builder
from sandbox_interpreter.catalogue import index
from sandbox_interpreter.catalogue.index import BundledImage
from sandbox_interpreter.cli import progress, relay
from sandbox_interpreter.cli.images_engine import Engine, settings_of, store_of
from sandbox_interpreter.cli.images_lock import lock
from sandbox_interpreter.cli.images_share import load, pull, push, save
from sandbox_interpreter.cli.images_team import build_team_image
from sandbox_interpreter.cli.images_verify import verify
from sandbox_interpreter.cli.main import COMMANDS, new_app
from sandbox_interpreter.engines.image_base import ImageStore

app = new_app(help=COMMANDS["images"], no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A bundled image.")]
SomeName = Annotated[str | None, typer.Argument(metavar="[NAME]", help="A bundled image.", show_default=False)]


@app.command("list")
def list_images(engine: Engine = None) -> None:
    """List the bundled images, and which of them are built."""
    with store_of(settings_of(engine)) as store:
        rows = [("NAME", "STATE", "SIZE", "LANGUAGES", "DESCRIPTION"), *(_row(image, store) for image in _all())]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        typer.echo("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]))


@app.command("build")
def build(name: SomeName = None, *,
          every: Annotated[bool, typer.Option("--all", help="Build every bundled image.")] = False,
          no_cache: Annotated[bool, typer.Option("--no-cache", help="Build it anew, with today's packages.")] = False,
          with_ca: Annotated[bool | None, typer.Option("--with-ca/--without-ca", show_default=False, help=(
              "Let the image trust your CA bundle, or stop it; without either it does what it did."))] = None,
          file: Annotated[Path | None, typer.Option("--file", "-f", metavar="FILE", show_default=False, help=(
              "Build and verify a team's image instead, from a file that says what is in it."))] = None,
          engine: Engine = None) -> None:
    """Build an image and what it stands on, as far as they are not up to date.

    Without a name: the image that sandboxes start from, as the settings say.
    """
    settings = settings_of(engine)
    how = builder.options(settings.ca_bundle, use_cache=not no_cache, with_ca=with_ca)
    if file is not None:
        build_team_image(file, settings, how)
        return
    with store_of(settings) as store:
        for image in _all() if every else [index.find(name or settings.image)]:
            progress.show(builder.build(image, store, how), plain=settings.plain)


for command in (verify, push, pull, save, load, lock):
    app.command(command.__name__)(command)


@app.command("inspect")
def inspect(name: Name, *, engine: Engine = None) -> None:
    """Print what is known about an image, as JSON."""
    image = index.find(name)
    with store_of(settings_of(engine)) as store:
        relay.print_json(_description(image, store))


def _all() -> list[BundledImage]:
    return list(index.bundled().values())


def _row(image: BundledImage, store: ImageStore) -> tuple[str, ...]:
    info = store.image(image.tag)
    state = "not built" if info is None else "out of date" if builder.needs_build(image, store) else "ready"
    size = f"{info.size / 1e6:.0f} MB" if info else "-"
    return image.name, state, size, ",".join(image.languages), image.description


def _description(image: BundledImage, store: ImageStore) -> dict[str, Any]:
    info = store.image(image.tag)
    known = {"name": image.name, "tag": image.tag, "parent": image.parent, "languages": image.languages,
             "description": image.description, "demo": image.demo, "stale": builder.stale(image, store)}
    return known | {"image": dataclasses.asdict(info) if info else None}
