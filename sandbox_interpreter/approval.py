"""The question that is asked before code runs, and its answer. A leaf: the asker and the loop both import it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.messages import CodeBlock


@dataclass(frozen=True)
class Approval:
    """A person's (or program's) answer: whether the block may run, and the code they changed it to, if they did."""

    run: bool
    code: str | None = None  # edited


Approve = Callable[[CodeBlock], Approval]
"""Asks whether a block may run. Raising KeyboardInterrupt or EOFError means: not run."""

Approver = Callable[[CodeBlock], Approval | bool]
"""The same as a program may write it: a bare True or False will do."""


def as_approval(answer: object) -> Approval:
    """Return what a program answered. Raises UsageError where that is neither yes nor no."""
    if isinstance(answer, bool):
        return Approval(run=answer)
    if isinstance(answer, Approval):
        return answer
    raise UsageError(f"approve answered {answer!r}, which is neither yes nor no; the code was not run.",
                     next_step="Let it return True, False or an Approval.")
