"""What became of tasks: one record each, and all of them as JSON. Texts in it are a guest's and a model's: hostile."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sandbox_interpreter.errors import SandboxInterpreterError, UsageError
from sandbox_interpreter.writing import write_text

Status = Literal["passed", "failed", "error", "skipped"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "error", "skipped")
FAILED = 1
COULD_NOT_RUN = SandboxInterpreterError.exit_code
MOST_OUTPUT = 16 * 1024
"""Characters of output that a result keeps: the last ones."""


@dataclass(frozen=True)
class CheckResult:
    """What a check came to; ``output`` is the end of what it printed, ``seconds`` the time that it took."""

    name: str
    passed: bool
    exit_code: int
    output: str
    seconds: float


@dataclass(frozen=True)
class TaskResult:
    """What a task came to.

    ``error``: it could not be run, which is no fault of its own. ``skipped``: it was not run, or not to its end.
    ``reason`` is a sentence, "" where it passed. ``seconds`` are those of its last try, of ``attempts`` tries.
    ``cost`` is in US dollars, None where it is not known. On a cluster, ``node`` is where the last try was, and
    ``lost`` are the nodes that were lost under it: it began anew each time, and ``attempts`` does not count those.
    """

    name: str
    file: str
    status: Status
    reason: str = ""
    seconds: float = 0.0
    attempts: int = 1
    model: str = ""
    image: str = ""
    checks: tuple[CheckResult, ...] = ()
    artifacts: tuple[str, ...] = ()
    output: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = 0.0
    node: str = ""
    lost: tuple[str, ...] = ()

    @property
    def tries(self) -> str:
        """Return how many tries it took, as the end of a sentence that has begun; "" where one was enough."""
        again = f", {self.attempts} tries" if self.attempts > 1 else ""
        lost = ", ".join(self.lost)
        return f"{again}, begun anew as {'node' if len(self.lost) == 1 else 'nodes'} {lost} went" if lost else again


@dataclass(frozen=True)
class Report:
    """All results, in the order of the files; ``seconds`` is the time that all of it took.

    ``ended_by`` is the number of the signal that ended it early, or 0.
    """

    results: Sequence[TaskResult]
    seconds: float
    ended_by: int = 0

    @property
    def counts(self) -> Mapping[Status, int]:
        """Return how many came to what."""
        counted = Counter(result.status for result in self.results)
        return {status: counted[status] for status in STATUSES}

    @property
    def cost(self) -> float:
        """Return the US dollars of all answers whose price is known."""
        return sum(result.cost or 0.0 for result in self.results)

    @property
    def exit_code(self) -> int:
        """Return 0 if all passed, 1 if some failed, 125 if some could not be run; 128 + signal if one ended it."""
        if self.ended_by:
            return 128 + self.ended_by
        counts = self.counts
        return FAILED if counts["failed"] else COULD_NOT_RUN if counts["error"] else 0

    def headline(self) -> str:
        """Return the counts as people read them: ``3 passed, 1 failed in 4.2 s``."""
        said = [f"{count} {_WORDS[status]}" for status, count in self.counts.items() if count]
        return f"{', '.join(said) or 'nothing to run'} in {self.seconds:.1f} s"

    def as_json(self) -> str:
        """Return everything as JSON in ASCII, so that nothing in it can act on a terminal or break a reader."""
        data: dict[str, Any] = {"version": 1, "exit_code": self.exit_code, "seconds": round(self.seconds, 3)}
        data |= {**self.counts} | {"cost": self.cost, "tasks": [asdict(each) for each in self.results]}
        return json.dumps(data, indent=2) + "\n"


_WORDS: Mapping[Status, str] = {"passed": "passed", "failed": "failed", "error": "could not be run",
                                "skipped": "not run"}


def tail(text: str) -> str:
    """Return the end of ``text``, as much as a result keeps, with a mark of what was left out."""
    left_out = len(text) - MOST_OUTPUT
    return text if left_out <= 0 else f"[… {left_out} characters are left out here …]\n{text[left_out:]}"


def write(path: Path, text: str, what: str) -> None:
    """Write a report's text, making the folder if need be. ``what`` is the flag. Raises UsageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise UsageError(f"{what}: {path} cannot be written: {error.strerror}.",
                         next_step="Name another file.") from None


def skipped(names: Iterable[tuple[str, str]], reason: str) -> list[TaskResult]:
    """Return the results of tasks, by name and file, that were not run for one ``reason``."""
    return [TaskResult(name, file, "skipped", reason, attempts=0) for name, file in names]
