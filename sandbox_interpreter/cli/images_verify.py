"""sbi images verify: hold an image against everything that a sandbox expects of one."""

from __future__ import annotations

import json as json_format
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox_interpreter.cli import relay
from sandbox_interpreter.cli.images_engine import Engine, engine_of, present, settings_of
from sandbox_interpreter.cli.options import flag
from sandbox_interpreter.errors import SandboxInterpreterError, UsageError
from sandbox_interpreter.terminal.escape import reveal
from sandbox_interpreter.writing import write_text

if TYPE_CHECKING:
    from sandbox_interpreter.verification.subject import Subject
    from sandbox_interpreter.verification.verify import Result

_SHOWN = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}

Reference = Annotated[str, typer.Argument(metavar="NAME|REF", help="A bundled image, or any other that is here.")]


def verify(name: Reference, *,
           json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
           sbom: Annotated[str | None, flag("--sbom", "FILE", "Write its packages there, as CycloneDX JSON.")] = None,
           engine: Engine = None) -> None:
    """Hold an image against a table of checks, in a sandbox as strict as any. Exits with 1 if one fails.

    User, files, secrets in layers and history, what it stands on, size, agent, languages, its own verify script,
    packages, and runtimes that are known to be vulnerable.
    """
    from sandbox_interpreter.verification import verify as verification

    settings = settings_of(engine)
    with engine_of(settings) as reached:
        present(name, reached.images())
        with verification.examine(name, reached, settings.runtime) as subject:
            done = list(_shown(verification.results(subject), quiet=json))
            if json:
                relay.print_json(_report(subject, done))
            if sbom:
                _write_sbom(Path(sbom), subject)
    raise SystemExit(1 if any(each.outcome.state == "failed" for each in done) else 0)


def _shown(results: Iterator[Result], *, quiet: bool) -> Iterator[Result]:
    """Pass results on, and print each as soon as it is known."""
    for each in results:
        if not quiet:
            typer.echo(line(each))
        yield each


def line(result: Result) -> str:
    """Return a check's result as a line of the table; what the image says in it cannot begin another."""
    detail = reveal(result.outcome.detail).replace("\n", "␊")
    return f"{_SHOWN[result.outcome.state]}  {result.name:9}  {detail}"


def _report(subject: Subject, done: list[Result]) -> dict[str, object]:
    packages = []
    if any(each.name == "packages" for each in done):
        try:
            packages = [package._asdict() for package in subject.inventory.packages]
        except SandboxInterpreterError:
            packages = []  # the check of that name says why
    return {"image": subject.reference, "id": subject.info.id, "size": subject.info.size,
            "ok": all(each.outcome.state != "failed" for each in done), "packages": packages,
            "checks": [{"name": each.name, **each.outcome._asdict()} for each in done]}


def _write_sbom(path: Path, subject: Subject) -> None:
    from sandbox_interpreter.verification import sbom

    text = json_format.dumps(sbom.document(subject.reference, subject.info.id, subject.inventory), indent=1) + "\n"
    try:
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"--sbom {path} cannot be written: {error.strerror}.", next_step="Name another.") from None
