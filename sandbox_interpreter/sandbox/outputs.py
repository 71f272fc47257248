"""What a run yields, piece by piece, and what it comes to. Bytes stay bytes here; text is made further up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from sandbox_interpreter.frozen import frozen

Limit = Literal["time", "memory", "pids", "output", "disk"]
StreamName = Literal["stdout", "stderr"]


@frozen
class Stream:
    """Bytes that the program wrote, split anywhere, even inside a character."""

    name: StreamName
    data: bytes


@frozen
class Display:
    """One value or picture in every form the kernel offers, keyed by MIME type; text forms are UTF-8.

    ``result`` is true for the value of a cell's last expression.
    """

    data: Mapping[str, bytes]
    result: bool = False


@frozen
class Failure:
    """The user's program raised, or its kernel died; ``traceback`` is ready to print and ends with a newline."""

    name: str
    value: str
    traceback: str


@frozen
class InputRequest:
    """The program waits for a line of input; answer with ``Execution.reply``."""

    prompt: str
    password: bool = False


@frozen
class ActiveLine:
    """The 1-based line of the cell that runs now; None when it has ended."""

    line: int | None


Output = Stream | Display | Failure | InputRequest | ActiveLine


@frozen
class ExecResult:
    """How a run ended.

    ``exit_code``: the program's own, 128 + signal, 124 when the time limit ended it, 137 when memory or a kill did.
    ``limit``: the limit that ended it, or None. ``duration_ms``: milliseconds, measured inside the sandbox.
    ``interrupted``: someone asked it to stop.
    """

    exit_code: int
    duration_ms: float
    limit: Limit | None = None
    interrupted: bool = False
