"""sbi cluster: what the nodes of a Ray cluster have, on which `sbi task --cluster` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sandbox_interpreter.cli import relay, report
from sandbox_interpreter.cli.main import COMMANDS, new_app
from sandbox_interpreter.terminal.escape import reveal
from sandbox_interpreter.values import format_size

if TYPE_CHECKING:
    from sandbox_interpreter.cluster.doctor import NodeReport

app = new_app(no_args_is_help=True, help=COMMANDS["cluster"])
_ADDRESS = typer.Argument(metavar="ADDRESS|auto", show_default=False,
                          help="HOST:6379, ray://HOST:10001, or auto for the one that this machine belongs to.")
_MIB = 2**20


@app.callback()
def cluster() -> None:
    """Stand for the command, so that one subcommand keeps its name."""


@app.command()
def doctor(address: Annotated[str, _ADDRESS] = "auto",
           json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """Say what each node of a Ray cluster has. Exits with 0 if sandboxes can be on all of them, else with 1."""
    from sandbox_interpreter.cluster.cluster import Cluster
    from sandbox_interpreter.cluster.doctor import examine, releases

    with Cluster(address, notify=report.say):
        here, found = releases(), list(examine())
    ok = all(each.ok for each in found)
    if json:
        relay.print_json({"ok": ok, "here": here, "nodes": [each.as_data() for each in found]})
    else:
        typer.echo("    here       " + ", ".join(f"{name} {value}" for name, value in here.items()))
        for each in found:
            _print(each)
    raise SystemExit(0 if ok else 1)


def _print(node: NodeReport) -> None:
    memory = format_size(node.memory // _MIB * _MIB)
    typer.echo(f"{'ok ' if node.ok else 'NO '} {node.address:9}  {reveal(node.host)}: room for {node.sandboxes} "
               f"sandboxes, {node.cpus:g} processors, {memory} of memory")
    if node.findings and node.findings.engine:
        typer.echo(f"{'':13}  {reveal(node.findings.engine)}; images: {', '.join(node.findings.images) or 'none'}")
    for problem in node.problems:
        what, _, mend = problem.partition("\n")
        typer.echo(f"{'':13}  {reveal(what)}")
        if mend:
            typer.echo(f"{'':13}  mend it: {reveal(mend)}")
