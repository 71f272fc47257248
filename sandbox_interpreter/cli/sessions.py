"""sbi sessions: earlier and living conversations: list, show, resume, stop, remove, read their logs, clean up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox_interpreter import config
from sandbox_interpreter.cli import report
from sandbox_interpreter.cli.main import COMMANDS, command, invoke, new_app
from sandbox_interpreter.cli.options import ENGINE
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sessions import log, reaper, store
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.session import Session

if TYPE_CHECKING:
    from sandbox_interpreter.engines.base import ContainerEngine

app = new_app(help=COMMANDS["sessions"], no_args_is_help=True)

_WHICH = "A session's name, a part of it, or last."
Name = Annotated[str, typer.Argument(metavar="[NAME]", help=_WHICH)]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help=_WHICH)]
Engine = Annotated[str | None, ENGINE.option()]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Plain = Annotated[bool, typer.Option("--plain", help="Write plain text, without colour.")]


@app.command("list")
def list_sessions(engine: Engine = None, *, as_json: AsJson = False) -> None:
    """List the sessions, the newest first.

    Open: an sbi is at work in it. Running: its sandbox waits to be taken up. Unknown: the engine does not answer.
    """
    sessions = store.every()
    records = {session.name: session.record() for session in sessions}
    labels = _living(engine) if any(record.container for record in records.values()) else set()
    states = {each.name: _state(each, records[each.name].container, labels) for each in sessions}
    if as_json:
        _echo_json([{"name": each.name, "state": states[each.name], "changed": store.changed(each)[0],
                     **asdict(records[each.name])} for each in sessions])
    elif sessions:
        from sandbox_interpreter.terminal.sessions import table

        typer.echo(table(sessions, states))
    else:
        report.note("There are no sessions yet.")


@app.command("show")
def show(name: Name = "last", *, plain: Plain = False) -> None:
    """Show a conversation again, as it was."""
    from sandbox_interpreter.terminal.render import Renderer
    from sandbox_interpreter.terminal.replay import replay

    session = store.find(name)
    events = log.read(session.events)
    history = restore(events.entries)
    settings = config.load({"plain": plain or None})
    replay(history.messages, Renderer(settings, save=session.save_picture))
    for problem in (*events.problems, *history.problems):
        report.say(problem)


@app.command("resume", add_help_option=False, context_settings={
    "ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False})
def resume(context: typer.Context) -> None:
    """Go on with a conversation: sbi sessions resume [NAME] [PROMPT].

    Without NAME the newest. Takes every flag of sbi chat. Its sandbox is taken up if it lives, variables and all; else
    a new one starts on the same files.
    """
    invoke(command("chat"), ["--resume", *context.args], "sbi sessions resume")


@app.command("stop")
def stop(names: Names, *, engine: Engine = None) -> None:
    """End the sandboxes of sessions; what was said and the files stay."""
    sessions = [store.find(name) for name in names]
    with _engine(engine) as running:
        for session in sessions:
            removed = _remove_containers(session, running)
            typer.echo(f"{session.name}: {'its sandbox was ended' if removed else 'there is no sandbox'}")


@app.command("remove")
def remove(names: Names, *, engine: Engine = None) -> None:
    """Remove sessions: their sandboxes, what was said, and their own files; a folder named with -w stays."""
    for session in [store.find(name) for name in names]:
        store.check_closed(session)
        if session.record().container:
            with _engine(engine) as running:
                _remove_containers(session, running)
        store.remove(session)
        typer.echo(f"{session.name}: removed")


@app.command("logs")
def logs(name: Name = "last", *, as_json: AsJson = False) -> None:
    """Print what happened in a session, one event a line."""
    from sandbox_interpreter.terminal.sessions import line_of

    session = store.find(name)
    events = log.read(session.events)
    for entry in events.entries:
        if as_json:
            _echo_json(entry)
        else:
            typer.echo(line_of(entry))
    for problem in events.problems:
        report.say(problem)


@app.command("prune")
def prune(engine: Engine = None) -> None:
    """Remove what killed programs left: their sandboxes, and private folders in the temporary folder.

    Conversations and their files stay.
    """
    with _engine(engine) as running:
        pruned = reaper.prune(running, resumable=True)
    for name in pruned.containers:
        typer.echo(f"container {name}")
    for folder in pruned.folders:
        typer.echo(f"folder {folder}")
    if not (pruned.containers or pruned.folders):
        report.note("There is nothing to remove.")


def _echo_json(data: object) -> None:
    typer.echo(json.dumps(data, ensure_ascii=False).encode("utf-8", "backslashreplace"))


@contextmanager
def _engine(setting: str | None) -> Iterator[ContainerEngine]:
    engine = reaper.open_engine(config.load({"engine": setting}))
    try:
        yield engine
    finally:
        engine.close()


def _living(setting: str | None) -> set[str] | None:
    """Return the labels of the containers that run; None if the engine does not answer."""
    with suppress(SandboxInterpreterError), _engine(setting) as engine:
        return reaper.living(engine)
    return None


def _state(session: Session, label: str, labels: set[str] | None) -> str:
    if log.is_open(session.events):
        return "open"
    if label and labels is None:
        return "unknown"
    return "running" if label and labels and label in labels else "ended"


def _remove_containers(session: Session, engine: ContainerEngine) -> int:
    found = reaper.containers_of(engine, session.record().container)
    for info in found:
        engine.get(info.id).remove()
    return len(found)
