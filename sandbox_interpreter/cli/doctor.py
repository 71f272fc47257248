"""sbi doctor: what works, what does not, and the command that mends it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from sandbox_interpreter.cli import checks, relay
from sandbox_interpreter.cli.checks import Check
from sandbox_interpreter.terminal.escape import reveal


def doctor(json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
           engine: Annotated[str | None, typer.Option(metavar="NAME|URL", show_default=False,
                                                      help="Ask this engine instead.")] = None) -> None:
    """Say what works, what does not, and the command that mends it. Exits with 0 if all works, else with 1."""
    failed = False
    done = []
    for check in checks.run_all(engine):
        failed = failed or not check.ok
        done.append(dataclasses.asdict(check))
        if not json:
            _print(check)
    if json:
        relay.print_json({"ok": not failed, "checks": done})
    raise SystemExit(1 if failed else 0)


def _print(check: Check) -> None:
    typer.echo(f"{'ok ' if check.ok else 'NO '} {check.name:9}  {reveal(check.detail)}")
    if check.mend:
        typer.echo(f"{'':13}  mend it: {reveal(check.mend)}")
