"""What an agent is asked when code is to run, checked before it is sent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from sandbox_interpreter.config import check_range
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.frozen import frozen
from sandbox_interpreter.sandbox.inbox import Inbox

Stdin = Literal["none", "ask", "pipe"]


@frozen
class Script:
    """Run the code as a plain program in a process of its own, not as a cell of a kernel.

    ``name`` is the file name that tracebacks show; an absolute one is a file of the workspace inside the container.
    """

    name: str = "main"
    argv: tuple[str, ...] = ()


def submit(inbox: Inbox, language: str, code: str, *, script: Script | None, timeout: float, stdin: Stdin,
           active_line: bool) -> None:
    """Ask for a run, whose outputs come to ``inbox``. Raises ChannelError; UsageError for arguments over 64 KiB."""
    inbox.send("execute_request", _source(code), language=language, mode="script" if script else "cell",
               name=script.name if script else "", argv=list(script.argv) if script else [], timeout=timeout,
               stdin=stdin, active_line=active_line, credit=inbox.window)


def check_timeout(seconds: float) -> float:
    """Return ``seconds`` if a run can be limited to them; 0 means no limit. Raises UsageError."""
    try:
        check_range("timeout", seconds)
    except ValueError as error:
        raise UsageError(f"The time limit cannot be that: {error}.",
                         next_step="Give seconds; 0 means no limit.") from None
    return seconds


def check_code(code: object) -> None:
    """Raise UsageError for code that is no text, such as the None of a model that has written none."""
    if not isinstance(code, str):
        raise UsageError(f"The code is no text, but of the type {type(code).__name__}.", next_step="Pass a str.")


def check_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return ``variables`` if a process can have them. Raises UsageError, which tells no value: it may be a secret."""
    for name, value in variables.items():
        try:
            whole = os.fsencode(f"{name}={value}")
        except UnicodeEncodeError:
            whole = b""
        if not name or "=" in name or not whole or b"\0" in whole:
            raise UsageError(f"No process can have an environment variable {name!a} with that value.",
                             next_step="A name is not empty and has no '='; neither has a NUL or half a character.")
    return dict(variables)


def _source(code: str) -> bytes:
    """Return the bytes of source code; a model may have written half a character, which has none."""
    try:
        return code.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return code.encode("utf-8", "replace")
