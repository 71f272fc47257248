"""The sandbox options: defined once, the same on every command that starts a sandbox.

``SANDBOX_FLAGS`` is the definition. ``sandbox_options`` puts all of them on a Typer command, and
``SandboxOptions.settings`` lays them over the environment and the config file.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sandbox_interpreter import config
from sandbox_interpreter.cli import report
from sandbox_interpreter.cli.flags import Flag
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.frozen import frozen
from sandbox_interpreter.sandbox.names import check_pattern

Returned = TypeVar("Returned")

CONFIG_FILE = Flag("config_file", "FILE",
                   "Read this settings file in the place of yours; a bare name is looked up in its folder.")
ENGINE = Flag("engine", "NAME|URL", "Use this engine: docker, podman, an address, or context:NAME.")
MODEL = Flag("model", "MODEL", "Let this model answer: any litellm model string, demo, or scripted:FILE.", short="-m")


SANDBOX_FLAGS = (
    Flag("image", "NAME|REF", "Start from this image: a bundled one, or any reference; a digest pins it."),
    Flag("workspace", "DIR[:ro|:rw|:copy]",
         "Mount this folder at /workspace, or copy it there and back; without it, a private one.", short="-w"),
    Flag("network", "none|full|HOST,…", "What the code can reach: nothing, everything, or hosts that you list."),
    Flag("memory", "SIZE", "Limit the memory of the whole sandbox, such as 512m or 1g."),
    Flag("cpus", "NUMBER", "Limit the processors' worth of time."),
    Flag("pids", "NUMBER", "Limit processes and threads together."),
    Flag("timeout", "SECONDS", "End a run that takes longer; 0 for no limit."),
    Flag("disk", "SIZE", "Limit what the code may add to the disk, such as 2g; 0 for no limit."),
    Flag("idle", "SECONDS", "Let the sandbox end itself when it has heard of no client for so long."),
    Flag("env", "K=V", "Set an environment variable for the code. Repeatable.", many=True),
    Flag("env_file", "FILE", "Set the variables of this file, K=V on each line."),
    Flag("secret", "NAME", "Pass on this variable of your environment, recorded nowhere. Repeatable.", many=True),
    ENGINE,
    Flag("runtime", "NAME", "Use this runtime of the engine, such as runsc."),
    Flag("artifact", "GLOB", "Copy matching files of /workspace to --out after the run. Repeatable.", many=True),
    Flag("out", "DIR", "Put the artifacts into this folder; sbi run, the pictures that code draws, too."),
)
"""Each has the name of a setting."""


@frozen
class SandboxOptions:
    """The sandbox flags that were given, as they were typed, by the names of their settings."""

    given: Mapping[str, str | list[str]]

    def settings(self, *, config_file: str | None = None, **flags: Any) -> config.Settings:
        """Return the settings in force with these flags on top, and ``flags`` of the command's own (None = not given).

        ``config_file`` is what --config-file names. Whoever sits at a terminal is told what does nothing in the files.
        Raises ConfigError that names the flag, variable or file line at fault.
        """
        file = None if config_file is None else config.locate(config_file)
        resolved = config.resolve({**self.given, **flags}, file=file)
        for notice in resolved.notices:
            report.note(notice)
        settings = resolved.settings
        settings.artifact = tuple(check_pattern(pattern) for pattern in settings.artifact)
        if settings.artifact and not settings.out:
            raise UsageError("--artifact says what to copy out, but not where to.", next_step="Add: --out DIR")
        return settings


def chosen(values: Mapping[str, Any]) -> SandboxOptions:
    """Return the sandbox options among the values of a command line."""
    names = {flag.name for flag in SANDBOX_FLAGS}
    return SandboxOptions({name: value for name, value in values.items() if name in names and value not in (None, [])})


def sandbox_options(command: Callable[..., Returned]) -> Callable[..., Returned]:
    """Return ``command`` for Typer with every sandbox flag added; they arrive as its ``sandbox`` argument."""

    @functools.wraps(command)
    def with_sandbox(*args: Any, **values: Any) -> Returned:
        sandbox = chosen({flag.name: values.pop(flag.name) for flag in SANDBOX_FLAGS})
        return command(*args, **values, sandbox=sandbox)

    own = inspect.signature(command, eval_str=True)
    kept = [item for item in own.parameters.values() if item.name != "sandbox"]
    accept(with_sandbox, [*kept, *(parameter(flag) for flag in SANDBOX_FLAGS)])
    return with_sandbox


def parameter(flag: Flag) -> inspect.Parameter:
    """Return the parameter of a Typer command that ``flag`` fills."""
    return inspect.Parameter(flag.name, inspect.Parameter.KEYWORD_ONLY, default=None if flag.metavar else False,
                             annotation=flag.annotation())


def accept(command: Callable[..., Any], parameters: list[inspect.Parameter]) -> None:
    """Let ``command`` appear, to whoever inspects it, to have ``parameters``."""
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer and help() read
    command.__annotations__ = {item.name: item.annotation for item in parameters}


def flag(name: str, metavar: str, explanation: str, *, short: str = "") -> Any:
    """Return a Typer option with a value, for a command's own flags; ``name`` as it is typed."""
    return Flag(name.removeprefix("--"), metavar, explanation, short).option()
