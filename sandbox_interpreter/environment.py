"""The environment that settings give to the code in a sandbox: plain variables, and secrets of the host's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sandbox_interpreter import reading
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import UsageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables that ``env_file`` and ``env`` give to the code; ``env`` wins. Raises UsageError."""
    values: dict[str, str] = {}
    if settings.env_file:
        values |= dict(_lines(Path(settings.env_file).expanduser()))
    values |= dict(_assignment(text, f"--env {text.partition('=')[0]!r}") for text in settings.env)
    return values


def secrets(settings: Settings) -> dict[str, str]:
    """Return name and value of each ``secret``, read from this process's environment. Raises UsageError if absent."""
    for name in settings.secret:
        if not _NAME.fullmatch(name):
            # Not repeated whole: whoever writes NAME=VALUE here has just typed the secret.
            raise UsageError(f"--secret {name.partition('=')[0]!r} is not a variable's name.",
                             next_step="Give the name alone; the value is read from your environment.")
        if name not in os.environ:
            raise UsageError(f"--secret {name}: there is no such variable in your environment.",
                             next_step=f"Set it first: export {name}=…")
    return {name: os.environ[name] for name in settings.secret}


def check(settings: Settings) -> None:
    """Raise UsageError now for what would be wrong with the environment when a sandbox is made."""
    variables(settings)
    secrets(settings)


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = reading.read_text(path, reading.LIST).splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"--env-file {path} cannot be read: {reading.reason(error)}.",
                         next_step="It holds one K=V a line.") from None
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _assignment(line.lstrip(), f"--env-file {path}, line {number}")


def _assignment(text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not _NAME.fullmatch(name) or "\0" in value:
        raise UsageError(f"{where} is not of the form K=V.", next_step="For example: --env LANG=C.UTF-8")
    return name, value
