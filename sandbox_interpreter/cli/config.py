"""sbi config: where the settings are, what is in force and why, whether files are right, and which are trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox_interpreter import config
from sandbox_interpreter.cli import report
from sandbox_interpreter.cli.main import COMMANDS, new_app
from sandbox_interpreter.cli.options import CONFIG_FILE, SandboxOptions, sandbox_options
from sandbox_interpreter.config import describe, layers, project, sources, trust
from sandbox_interpreter.config.folders import PROJECT_FILE, places_of, shown
from sandbox_interpreter.config.project import Project
from sandbox_interpreter.config.settings import SPECS
from sandbox_interpreter.config.sources import Found, Source
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.terminal import editor
from sandbox_interpreter.terminal.escape import reveal

app = new_app(help=COMMANDS["config"], no_args_is_help=True)

ConfigFile = Annotated[str | None, CONFIG_FILE.option()]
File = Annotated[str | None, typer.Argument(metavar="[FILE]", show_default=False, help="A settings file.")]
ProjectFile = Annotated[str | None, typer.Argument(metavar="[FILE]", show_default=False, help=(
    "The .sbi.yaml, or its folder; without it, the one that counts here."))]
_HIDDEN = "(set, not shown)"


@app.command("path")
def show_path() -> None:
    """Print where the settings file is, or would be."""
    typer.echo(config.user_file())


@app.command("show")
@sandbox_options
def show(*, as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
         config_file: ConfigFile = None, sandbox: SandboxOptions) -> None:
    """Print the settings in force, and where each comes from.

    What is printed is itself a settings file. Flags show what a command with them would do.
    """
    resolved = config.resolve(sandbox.given, file=_located(config_file))
    for notice in resolved.notices:
        report.say(notice)
    if as_json:
        typer.echo(json.dumps({name: _facts(name, found) for name, found in resolved.found.items()}, indent=1))
        return
    for name, found in resolved.found.items():
        typer.echo(reveal(_line(name, found)))


@app.command("check")
def check(file: File = None, config_file: ConfigFile = None) -> None:
    """Say whether a settings file is right; without FILE: yours, the project's, and the environment.

    If one is not: tells every place and what is wrong, and exits with 2.
    """
    named = _located(file or config_file)
    checked = [_one(named)] if named else list(layers.read().sources)
    for source in checked:
        for notice in source.notices:
            report.say(notice)
        for problem in source.problems:
            report.say(problem.report())
        if source.name and source.found and not source.problems:
            typer.echo(reveal(f"{source.name} is right."))
    if any(source.problems for source in checked):
        raise SystemExit(ConfigError.exit_code)
    if not named:
        config.resolve()  # what is right in each place may still contradict each other
        if not config.user_file().exists():
            typer.echo(f"There is no {config.user_file()}; the defaults are in force.")


@app.command("edit")
def edit_command(config_file: ConfigFile = None) -> None:
    """Open the settings file in $EDITOR.

    It is created from the defaults first, if need be. Without a terminal its path is printed instead.
    """
    edit(config_file)


@app.command("trust")
def trust_command(file: ProjectFile = None) -> None:
    """Let a project's .sbi.yaml do more than tighten, as long as it is not changed.

    Prints what it sets. Read it first: it may give the code a network, your variables, or your folders.
    """
    theirs = _project(file)
    config.refuse(theirs.source.problems)
    trust.trust(theirs.path, theirs.data)
    typer.echo(reveal(f"Trusted as it is now: {theirs.path}"))
    for name, found in theirs.source.found.items():
        typer.echo(reveal(f"  {_line(name, found)}"))


@app.command("untrust")
def untrust(file: ProjectFile = None) -> None:
    """Let a project's .sbi.yaml only tighten again."""
    path = _project_path(file)
    typer.echo(reveal(f"Not trusted any more: {path}" if trust.forget(path) else f"It was not trusted: {path}"))


def edit(name: str | None = None) -> None:
    """Open a config file in $EDITOR, made from the defaults if absent, and check it; no terminal: print its path.

    Raises ConfigError: it cannot be made, the editor cannot be run, or what was written is wrong.
    """
    places = places_of(name or config.user_file().name)
    path = next((place for place in places if place.is_file()), places[0])
    if not path.exists():
        _create(path)
    if not (os.isatty(0) and os.isatty(1)):
        typer.echo(path)
        return
    if problem := editor.open_file(path):
        raise ConfigError(problem, next_step=f"Set EDITOR, or edit {path}.")
    config.refuse(sources.file(path).problems)


def _create(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # may hold a key
            file.write(describe.new_file())
    except OSError as error:
        raise ConfigError(f"Cannot create {path}: {error.strerror}.", next_step="Name another: --config-file") from None


def _located(name: str | None) -> Path | None:
    return None if name is None else config.locate(name)


def _one(path: Path) -> Source:
    """Return what one file says, by the rules for a project's if it is one."""
    if path.name != PROJECT_FILE:
        return sources.file(path)
    without = sources.defaults().found | layers.read().user.found
    return project.read(path, without=without).permitted(without)


def _project(name: str | None) -> Project:
    return project.read(_project_path(name), without=sources.defaults().found)


def _project_path(name: str | None) -> Path:
    """Return the project's file that is meant, its folder free of links. Raises ConfigError."""
    if name is None:
        found = layers.read().project
        if found is None:
            raise ConfigError(f"There is no {PROJECT_FILE} here or above.", next_step="Name it, or its folder.")
        return found.path
    path = Path(name) / PROJECT_FILE if Path(name).is_dir() else Path(name)
    if path.name != PROJECT_FILE:
        raise ConfigError(f"{shown(path)} is no project's file: that is called {PROJECT_FILE}.",
                          next_step="Your own settings file needs no trust.")
    return path.parent.resolve() / path.name


def _line(name: str, found: Found) -> str:
    place = found.place or "default"
    if SPECS[name].hidden and found.value is not None:
        return f"# {name}: {_HIDDEN}  # {place}"
    return f"{describe.as_yaml(name, found.value)}  # {place}"


def _facts(name: str, found: Found) -> dict[str, Any]:
    hidden = SPECS[name].hidden and found.value is not None
    return {"value": _HIDDEN if hidden else found.value, "from": found.layer, "place": found.place}
