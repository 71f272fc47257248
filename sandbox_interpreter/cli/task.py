"""sbi task: task files in throwaway sandboxes, for CI."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from sandbox_interpreter.cli import report
from sandbox_interpreter.cli.options import CONFIG_FILE, SandboxOptions, flag, sandbox_options
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.values import as_type

if TYPE_CHECKING:
    from sandbox_interpreter.config import Settings
    from sandbox_interpreter.tasks.place import Source, Switch
    from sandbox_interpreter.tasks.results import Report
    from sandbox_interpreter.tasks.tries import Tries
    from sandbox_interpreter.terminal.tasks import Screen

_FILES = typer.Argument(metavar="FILE...", show_default=False, help="Task files, folders of them, or patterns.")
_MODEL = flag("--model", "MODEL", "Any litellm model string, demo, or scripted:FILE.", short="-m")
_PARALLEL = flag("--parallel", "NUMBER", "Tasks that run at once; 1 unless you say so.", short="-j")
_FAIL_FAST = typer.Option("--fail-fast", show_default=False, help="Begin no other task once one has not passed.")
_SHARD = flag("--shard", "I/N", "Run only part I of N: one for each of N machines.")
_RERUN = typer.Option("--rerun-failed", show_default=False, help="Run only what did not pass here the last time.")
_DRY_RUN = typer.Option("--dry-run", show_default=False, help="Check the files and list what would run.")
_JUNIT = flag("--junit", "FILE", "Write the results as JUnit XML.")
_JSON = flag("--json", "FILE", "Write the results as JSON.")
_RECORD = flag("--record", "DIR", "Keep the model's answers there.")
_REPLAY = flag("--replay", "DIR", "Play the answers that were kept there, without a model.")
_CLUSTER = flag("--cluster", "ADDRESS|auto", "Run them on the nodes of this Ray cluster.")
_NODE_RETRIES = flag("--node-retries", "NUMBER", "Begin a task anew so often if its node is lost; 2 unless you say so.")
_SCHEMA = typer.Option("--schema", show_default=False, help="Print the JSON schema of task files, for editors.")
_PLAIN = typer.Option("--plain", show_default=False, help="No colour, no live display.")
_DEBUG = typer.Option("--debug", "-d", show_default=False, help="Show tracebacks of sbi's own errors.")
_SUMMARY = "GITHUB_STEP_SUMMARY"
_MOST_PARALLEL = 256
_NODE_RETRIES_UNSAID = 2
_MOST_RETRIES = 100


@dataclass(frozen=True)
class Choices:
    """What the command line says of the whole, and not of the sandboxes."""

    parallel: int
    fail_fast: bool
    junit: Path | None
    json: Path | None
    cluster: str | None = None


@sandbox_options
def task(*, files: Annotated[list[str] | None, _FILES] = None, model: Annotated[str | None, _MODEL] = None,
         parallel: Annotated[str | None, _PARALLEL] = None, fail_fast: Annotated[bool, _FAIL_FAST] = False,
         shard: Annotated[str | None, _SHARD] = None, rerun_failed: Annotated[bool, _RERUN] = False,
         dry_run: Annotated[bool, _DRY_RUN] = False, junit: Annotated[str | None, _JUNIT] = None,
         as_json: Annotated[str | None, _JSON] = None, record: Annotated[str | None, _RECORD] = None,
         replay: Annotated[str | None, _REPLAY] = None, cluster: Annotated[str | None, _CLUSTER] = None,
         node_retries: Annotated[str | None, _NODE_RETRIES] = None, schema: Annotated[bool, _SCHEMA] = False,
         plain: Annotated[bool, _PLAIN] = False, debug: Annotated[bool, _DEBUG] = False,
         config_file: Annotated[str | None, CONFIG_FILE.option()] = None, sandbox: SandboxOptions) -> None:
    """Run task files in throwaway sandboxes.

    Exits with 0 if all passed, 1 if some failed, 125 if some could not be run, 2 on bad usage.
    """
    if schema:
        from sandbox_interpreter.tasks.schema import schema as made

        typer.echo(json.dumps(made(), indent=2))
        return
    if not files:
        raise UsageError("There is no task to run.", next_step="Name files, or folders of them: sbi task tests/")
    if record and replay:
        raise UsageError("--record and --replay contradict each other.", next_step="Give one of them.")
    if "workspace" in sandbox.given:
        raise UsageError("Each task has a fresh workspace, so --workspace says nothing.",
                         next_step="Name in the task's file what is copied in: inputs: [data.csv]")
    if cluster and "engine" in sandbox.given:
        raise UsageError("On a cluster each node has its own engine, so --engine says nothing.",
                         next_step="Set DOCKER_HOST or SBI_ENGINE where a node is started: docs/cluster.md.")
    settings = sandbox.settings(config_file=config_file, model=model, plain=plain or None, debug=debug or None)
    choices = Choices(_number(parallel or 1, "--parallel", 1, _MOST_PARALLEL), fail_fast, _path(junit), _path(as_json),
                      cluster)
    retries = _NODE_RETRIES_UNSAID if node_retries is None else node_retries
    most_lost = _number(retries, "--node-retries", 0, _MOST_RETRIES)
    tries = [replace(each, most_lost=most_lost if cluster else 0)
             for each in _collected(files, settings, shard, _path(record), _path(replay), rerun_failed=rerun_failed)]
    if dry_run:
        _list(tries)
    else:
        _run(tries, settings, choices)


def _path(text: str | None) -> Path | None:
    return Path(text).expanduser().absolute() if text else None


def _number(text: str | int, flag: str, least: int, most: int) -> int:
    try:
        number = int(as_type(int, text))
        if not least <= number <= most:
            raise ValueError(f"{number} is not between {least} and {most}")
    except ValueError as error:
        raise UsageError(f"{flag}: {error}.", next_step=f"For example: {flag} 4") from None
    return number


def _collected(words: Sequence[str], settings: Settings, shard: str | None, record: Path | None, replay: Path | None, *,
               rerun_failed: bool) -> list[Tries]:
    """Return the tasks that are to run, all of them checked. Raises UsageError, ConfigError."""
    from sandbox_interpreter.tasks import suite
    from sandbox_interpreter.tasks.place import Switch, settings_of
    from sandbox_interpreter.tasks.tries import Folders, Tries

    if settings.safe_mode != "off":
        raise UsageError(f"With safe_mode {settings.safe_mode} every run is asked for, and here is nobody to ask.",
                         next_step="In throwaway sandboxes it may be off: SBI_SAFE_MODE=off")
    paths = suite.files(words)
    if rerun_failed:
        paths = suite.failed(paths)
    if shard:
        paths = suite.shard(paths, shard)
    folders, switch = Folders(_path(settings.out), record, replay), Switch()
    return [Tries(each, settings_of(each, settings), folders, switch) for each in suite.read(paths)]


def _list(tries: Sequence[Tries]) -> None:
    from sandbox_interpreter.tasks.inputs import sources
    from sandbox_interpreter.terminal.escape import reveal

    for each in tries:
        given = len(sources(each.task))
        facts = [each.task.kind, f"image {each.settings.image}", f"network {each.settings.network}",
                 f"{given} inputs", f"{len(each.task.checks)} checks", f"{len(each.task.artifacts)} artifacts"]
        typer.echo(reveal(f"{each.task.name}: {', '.join(facts)}"))
    typer.echo(f"{len(tries)} would run.")


def _run(tries: Sequence[Tries], settings: Settings, choices: Choices) -> NoReturn:
    from sandbox_interpreter.cli.main import leave
    from sandbox_interpreter.tasks.place import Switch
    from sandbox_interpreter.tasks.runner import TaskRunner

    switch = tries[0].switch if tries else Switch()
    make_source, done_with = _sandboxes(tries, settings, switch, choices.cluster)
    runner = TaskRunner(tries, switch=switch, make_source=make_source, parallel=choices.parallel,
                        fail_fast=choices.fail_fast)
    ended_by = 0
    _heed_signals()
    with _screen(len(tries), settings) as screen:
        try:
            runner.run(screen)
        except KeyboardInterrupt:
            ended_by = signal.SIGINT
        except SystemExit as end:
            ended_by = int(end.code or 0) - 128
        except BrokenPipeError as error:  # nobody reads any more, which is no failure of a task
            leave(report.failure(error))
    done_with()
    done = runner.report(ended_by=ended_by)
    _tell(done, choices)
    leave(done.exit_code)  # at once: a thread that waits for a model would be waited for otherwise


def _sandboxes(tries: Sequence[Tries], settings: Settings, switch: Switch,
               address: str | None) -> tuple[Callable[[], Source], Callable[[], object]]:
    """Return where each worker gets its sandboxes, and what is to be called afterwards. Raises EngineError."""
    from sandbox_interpreter.tasks.place import Here

    talking = [each for each in tries if each.task.prompt]
    if talking:
        talking[0].prepare()
    if address and tries:
        from sandbox_interpreter.cluster.cluster import Cluster, ClusterSource

        cluster = Cluster(address, notify=report.say)
        return lambda: ClusterSource(cluster, switch.check), cluster.close
    from sandbox_interpreter.sandbox import launch

    if tries:
        _prepare(tries, settings)
    return lambda: Here(lambda: launch.engine_of(settings.engine)), lambda: None


def _prepare(tries: Sequence[Tries], settings: Settings) -> None:
    """Make, while nobody waits for a result, what all of them need. Raises EngineError."""
    from contextlib import closing

    from sandbox_interpreter.catalogue import index
    from sandbox_interpreter.cli.provision import provide_image
    from sandbox_interpreter.engines.docker import DockerEngine
    from sandbox_interpreter.sessions.reaper import prune_soon

    with closing(DockerEngine(settings.engine)) as engine:
        store = engine.images()
        for image in dict.fromkeys(each.settings.image for each in tries):
            if store.image(index.resolve(image)) is None:
                provide_image(image, store, settings)
    prune_soon(settings)


def _screen(total: int, settings: Settings) -> Screen:
    from sandbox_interpreter.terminal.tasks import LineBoard, TableBoard

    can_draw = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI")
    if settings.plain or not can_draw or os.environ.get("NO_COLOR"):
        return LineBoard(sys.stdout)
    from rich.console import Console

    return TableBoard(Console(), total)


def _heed_signals() -> None:
    """Let the first signal end everything in good order, and none after it disturb that; nohup stays nohup."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _: FrameType | None) -> NoReturn:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def _tell(done: Report, choices: Choices) -> None:
    """Write the reports, and the last line. Raises UsageError where one cannot be written."""
    from sandbox_interpreter.tasks import history, results
    from sandbox_interpreter.tasks.junit import junit
    from sandbox_interpreter.tasks.summary import summary

    history.remember(done.results)
    typer.echo(done.headline())
    if choices.json:
        results.write(choices.json, done.as_json(), "--json")
    if choices.junit:
        results.write(choices.junit, junit(done), "--junit")
    if page := os.environ.get(_SUMMARY):
        try:
            with Path(page).open("a", encoding="utf-8", errors="replace") as file:
                file.write(summary(done))
        except OSError as error:
            report.say(f"The summary cannot be written to {page}: {error.strerror}.")
