"""sbi images lock: write into the project's settings which very images it runs on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox_interpreter.catalogue import index, pins
from sandbox_interpreter.cli import report
from sandbox_interpreter.cli.images_engine import Engine, present, settings_of, store_of
from sandbox_interpreter.config import folders
from sandbox_interpreter.terminal.escape import reveal

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME|REF]...", show_default=False,
                                                   help="Images that are here; without one, the one of the settings.")]


def lock(names: Names = None, *, engine: Engine = None) -> None:
    """Write the digests of images into the project's .sbi.yaml; sandboxes then start from exactly those.

    The nearest .sbi.yaml is changed, or one is made here. All else in it stays as it is.
    """
    settings = settings_of(engine)
    with store_of(settings) as store:
        digests = {name: pins.digest_to_lock(index.resolve(name), present(name, store))
                   for name in names or [settings.image]}
    path = folders.find_project(Path.cwd()) or Path.cwd() / folders.PROJECT_FILE
    _write(path, digests)
    for name, digest in digests.items():
        typer.echo(f"{reveal(name)}  {digest}")
        if name in index.bundled():
            report.note(f"{name} was built here: others get the same one by sbi images save and load, or once it was "
                        "pushed.")


def _write(path: Path, digests: dict[str, str]) -> None:
    from sandbox_interpreter.config import edit, trust, yaml_file

    was_trusted = path.exists() and trust.is_trusted(path, yaml_file.read_bytes(path, follow=False))
    data = edit.merge(path, "lock", digests)
    if was_trusted:  # its user trusted all the rest, and asked for this
        trust.trust(path, data)
