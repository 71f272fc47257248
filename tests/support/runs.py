"""A whole run in one value, for tests that look at the end of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.outputs import Display, ExecResult, Failure, Output, Stream
from sandbox_interpreter.sandbox.sandbox import Sandbox


@dataclass(frozen=True)
class Run:
    """Everything that one run said, and how it ended."""

    outputs: list[Output]
    result: ExecResult

    @property
    def stdout(self) -> str:
        """Return all of stdout as text."""
        return self._bytes("stdout").decode()

    @property
    def stderr(self) -> str:
        """Return all of stderr as text."""
        return self._bytes("stderr").decode()

    def _bytes(self, name: str) -> bytes:
        return b"".join(each.data for each in self.outputs if isinstance(each, Stream) and each.name == name)

    @property
    def failure(self) -> Failure:
        """Return the one failure; there must be one."""
        (failure,) = [each for each in self.outputs if isinstance(each, Failure)]
        return failure

    @property
    def values(self) -> list[str]:
        """Return the plain text of every display."""
        return [each.data["text/plain"].decode() for each in self.outputs if isinstance(each, Display)]


def finish(execution: Execution) -> Run:
    """Return what an execution comes to."""
    return Run(list(execution), execution.result)


def run(box: Sandbox, language: str, code: str, **options: Any) -> Run:
    """Run code to its end."""
    return finish(box.execute(language, code, **options))
