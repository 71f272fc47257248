"""sbi run: a program in a throwaway sandbox, as if it ran here."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated

from sandbox_interpreter import environment, languages
from sandbox_interpreter.cli import program as programs
from sandbox_interpreter.cli import report
from sandbox_interpreter.cli.flags import Flag, parse
from sandbox_interpreter.cli.harvest import Harvest
from sandbox_interpreter.cli.options import CONFIG_FILE, SANDBOX_FLAGS, accept, chosen, parameter
from sandbox_interpreter.cli.program import Program
from sandbox_interpreter.cli.provision import Copying, provide_image
from sandbox_interpreter.cli.relay import print_json, relay_json, relay_streams, window
from sandbox_interpreter.cli.signals import Stops
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sandbox import launch
from sandbox_interpreter.sandbox import workspace as workspaces
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from sandbox_interpreter.sandbox.workspace import Workspace
from sandbox_interpreter.values import parse_locks

_EXIT_CODES = ("Exits with the program's own code; 124 when the time limit ended it, 137 when memory or a kill did, "
               "125 when sbi or the engine failed, 2 on bad usage.")
_TIDY_AFTER = 1.0
"""Seconds that a run has to last before it looks for what killed ones left; short ones leave it to the others."""
_PIECE = 64 * 1024
"""Bytes of stdin read at a time: what a pipe of Linux holds."""

FLAGS = (
    Flag("code", "CODE", "Run this code instead of a file; all words are its arguments.", short="-c"),
    Flag("lang", "LANGUAGE", "Take the code to be in this language, where the file's name does not tell.", short="-l"),
    Flag("json", "", "Print one event per line, and the result as the last."),
    Flag("standby", "NUMBER", "Leave so many fresh sandboxes behind, and begin in one that waits."),
    CONFIG_FILE,
    Flag("plain", "", "Take the colour out of what is shown on a terminal."),
    Flag("debug", "", "Show tracebacks of sbi's own errors."),
    *SANDBOX_FLAGS,
)
_HELP = (Flag("help", "", "Show this message and exit.", short="-h"),)


def main(arguments: Sequence[str]) -> int:
    """Return the exit code of the program that the command line names, once it has run."""
    parsed = parse(arguments, (*FLAGS, *_HELP))
    if "help" in parsed.values:
        _show_help()
        return 0
    given = parsed.values
    settings = chosen(given).settings(config_file=given.get("config_file"), debug=given.get("debug"),
                                      plain=given.get("plain"), standby=given.get("standby"))
    place = workspaces.resolve(settings.workspace, engine=settings.engine) if settings.workspace else None
    program = programs.choose(parsed.words, code=given.get("code"), language=given.get("lang"),
                              workspace=place.folder if place else None)
    settings.image = _image(program, settings)
    return _run(program, settings, place, as_json=given.get("json", False))


def _show_help() -> None:
    """Print what Typer makes of the same flags, so that it looks like every other command's."""
    import inspect

    import typer

    from sandbox_interpreter.cli.main import COMMANDS, invoke, new_app

    def run(**_: object) -> None:
        """Stand for ``main``."""

    words = Annotated[list[str] | None, typer.Argument(metavar="FILE|- ARGS", show_default=False, help=(
        "A file, or - for stdin. What follows it is the program's, even what looks like an option."))]
    accept(run, [inspect.Parameter("words", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=words),
                 *(parameter(flag) for flag in FLAGS)])
    app = new_app()
    app.command(help=COMMANDS["run"], epilog=_EXIT_CODES)(run)
    invoke(app, ["--help"], "sbi run")


def _run(program: Program, settings: Settings, place: Workspace | None, *, as_json: bool) -> int:
    """Return the exit code of ``program``, whose outputs are written as they come."""
    if place and place.notice:
        report.note(place.notice)
    with Stops() as stops, _left_at_once(_sandbox(settings, place, stops), settings, place) as box:
        try:
            harvest = Harvest(box, settings)
            script = Script(program.name, program.arguments)
            with stops.protected():
                execution = box.execute(program.language, program.source, script=script,
                                        stdin="none" if program.uses_stdin else "pipe", window=window())
            stops.watch(execution)
            _tidy_later(settings)
            if not program.uses_stdin:
                threading.Thread(target=_feed, args=(execution,), name="sbi-stdin", daemon=True).start()
            if as_json:
                relay_json(execution, harvest)
            else:
                relay_streams(execution, harvest, colour=not settings.plain)
            return _finish(box, execution, harvest, as_json=as_json)
        finally:
            stops.hold()


def _image(program: Program, settings: Settings) -> str:
    """Return the image to run a program in: the settings', or the smallest that has the language if that has not."""
    if languages.find(program.language).is_built_in:
        return settings.image
    from sandbox_interpreter.catalogue import index

    image = index.serving(program.language, settings.image)
    if image != settings.image:
        report.note(f"The image {settings.image!r} has no {program.language}; it runs in {image!r}.")
    return image


def _sandbox(settings: Settings, place: Workspace | None, stops: Stops) -> Sandbox:
    def provide(image: str, images: ImageStore) -> None:
        stops.unprotect()  # a build takes minutes, and may be cut short
        provide_image(image, images, settings)

    return Sandbox(settings.image, policy=settings.policy(), engine=settings.engine,
                   env=environment.variables(settings), secrets=environment.secrets(settings),
                   notify=report.say, provide=provide, progress=Copying(settings), way_out=launch.way_out_of(settings),
                   locked=parse_locks(settings.lock), standby=settings.standby > 0,
                   workspace=dataclasses.replace(place, notice="") if place else None)


def _tidy_later(settings: Settings) -> None:
    def tidy() -> None:
        from sandbox_interpreter.sessions.reaper import prune_soon

        prune_soon(settings)

    timer = threading.Timer(_TIDY_AFTER, tidy)
    timer.daemon = True
    timer.start()


@contextmanager
def _left_at_once(box: Sandbox, settings: Settings, place: Workspace | None) -> Iterator[Sandbox]:
    """Close a sandbox without waiting for the engine's housekeeping: the shell's prompt is what people wait for.

    Where the run came to an end by itself, standbys are left behind as the settings say.
    """
    try:
        yield box
    finally:
        box.close(wait=False)
    if settings.standby and not (place and place.access == "copy"):
        from sandbox_interpreter.sandbox.leaving import leave_soon

        leave_soon(box.reference, box.policy, engine=settings.engine, most=settings.standby,
                   workspace=f"{place.folder}:{place.access}" if place else None)


def _feed(execution: Execution) -> None:
    """Pass our stdin to the program until either ends."""
    with suppress(OSError):  # a terminal that is gone, or in whose background we run
        while data := os.read(0, _PIECE):
            execution.send_stdin(data)
    execution.close_stdin()


def _finish(box: Sandbox, execution: Execution, harvest: Harvest, *, as_json: bool) -> int:
    """Copy results out, also those of a program that failed; return the exit code."""
    result = execution.result
    code = result.exit_code
    try:
        harvest.collect()
    except SandboxInterpreterError as error:
        report.say(error.report())
        code = code or error.exit_code  # a program's failure says more than ours after it
    if as_json:
        print_json({"type": "result", "exit_code": result.exit_code, "duration_ms": result.duration_ms,
                    "limit": result.limit, "artifacts": [str(path) for path in harvest.paths],
                    "session": box.session, "image": box.image_id})
    return code
