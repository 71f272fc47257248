"""A run on a node, as the driver sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sandbox_interpreter.cluster.orders import Taken
from sandbox_interpreter.sandbox.outputs import ExecResult, Output

_WAIT = 10.0
"""Seconds for which a call waits for output; then it is made anew."""


class ClusterRun:
    """Iterate it for outputs, which come as the program writes them; ``result`` is there afterwards.

    ``close`` (or leaving a ``with``) abandons the run: it is interrupted, and what it still says is dropped.
    """

    def __init__(self, ask: Callable[..., Any], number: int, told: Callable[[Taken], object]) -> None:
        self._ask = ask
        self._number = number
        self._told = told
        self._result: ExecResult | None = None
        self._outputs = self._read()

    @property
    def result(self) -> ExecResult:
        """Return how the run ended. Raises RuntimeError while it is still going on."""
        if self._result is None:
            raise RuntimeError("the run has not ended; iterate over it first")
        return self._result

    def __iter__(self) -> Iterator[Output]:
        """Return the one iterator over this run's outputs. Iterating raises NodeLost, SandboxClosed, EngineError."""
        return self._outputs

    def __enter__(self) -> ClusterRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def interrupt(self, *, hard: bool = False) -> None:
        """Ask the program to stop: SIGINT, then harder; ``hard`` kills at once."""
        if self._result is None:
            self._ask("interrupt", self._number, hard)

    def close(self) -> None:
        """Abandon the run: interrupt it and wait until it has ended."""
        if self._result is None:
            self._ask("abandon", self._number)

    def _read(self) -> Iterator[Output]:
        while self._result is None:
            taken: Taken = self._ask("take", self._number, _WAIT)
            self._told(taken)
            yield from taken.outputs
            self._result = taken.result
