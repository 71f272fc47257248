"""One try of one task: inputs in, the work, the checks, the artifacts out; in a sandbox that is lent for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import BudgetReached, NodeLost, RecordingMismatch, SandboxInterpreterError
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.base import Model
from sandbox_interpreter.models.ledger import Ledger
from sandbox_interpreter.sandbox.chunks import chunks_of
from sandbox_interpreter.sandbox.outputs import ExecResult
from sandbox_interpreter.sandbox.submit import Script
from sandbox_interpreter.sessions.egress_log import EgressLog
from sandbox_interpreter.tasks import inputs, talk
from sandbox_interpreter.tasks.place import Box, Places, Switch
from sandbox_interpreter.tasks.record import Check, Task
from sandbox_interpreter.tasks.results import CheckResult, Status, TaskResult, tail

_LIMITS = {"time": "the time limit", "memory": "the limit of memory", "pids": "the limit of processes",
           "output": "the limit of output", "disk": "the space on its disk"}


class Failed(Exception):
    """The task did not do what it should; the text is the reason."""


class Log(Protocol):
    """Where a try is written down."""

    def note(self, event: str, **facts: Any) -> object:
        """Write one event."""

    def sync(self, messages: Sequence[Message]) -> None:
        """Bring what is written of the conversation in line with ``messages``."""


@dataclass
class Attempt:
    """One try. ``model`` answers a prompt; ``ledger`` is the task's, over all its tries; ``out`` takes artifacts.

    ``wanted`` are patterns of files that are copied if they are there. ``run`` is called once, in any thread.
    """

    task: Task
    settings: Settings
    switch: Switch
    log: Log
    model: Model | None = None
    ledger: Ledger = field(default_factory=Ledger)
    out: Path | None = None
    wanted: tuple[str, ...] = ()
    expired: bool = False
    messages: list[Message] = field(default_factory=list)
    _checks: list[CheckResult] = field(default_factory=list)
    _artifacts: list[str] = field(default_factory=list)
    _node: str = ""

    def run(self, places: Places) -> TaskResult:
        """Return what it came to. Raises Stopped, and NodeLost: all else that goes wrong is a result."""
        begun = time.perf_counter()
        status: Status = "passed"
        reason = ""
        try:
            with places.lend(self.task, self.settings, EgressLog(self.log)) as box, self._deadline(box):
                begun = time.perf_counter()  # on a cluster it may have waited for its turn
                self._node = getattr(box, "node", "")
                self._work(box)
        except Failed as failure:
            status, reason = "failed", str(failure)
        except (BudgetReached, RecordingMismatch) as error:
            status, reason = "failed", error.report()
        except NodeLost:
            self.switch.check()
            if not self.expired:
                raise
        except (SandboxInterpreterError, OSError) as error:
            self.switch.check()  # then it is what ended it
            status, reason = "error", error.report() if isinstance(error, SandboxInterpreterError) else str(error)
        if self.expired:
            status, reason = "failed", f"The deadline of {self.task.deadline:g} s was reached."
        usage = self.ledger.usage
        result = TaskResult(
            self.task.name, str(self.task.file), status, reason, round(time.perf_counter() - begun, 3),
            image=self.settings.image, checks=tuple(self._checks), artifacts=tuple(self._artifacts),
            output=tail(talk.as_text(self.messages)), prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens, cost=None if self.ledger.unpriced else self.ledger.cost,
            node=self._node)
        self.log.note("result", status=status, reason=reason, seconds=result.seconds)
        return result

    def _work(self, box: Box) -> None:
        for source in inputs.sources(self.task):
            with source.open() as file:
                box.upload(file, source.target)
        problem = ""
        try:
            if self.model:
                self._converse(box, self.model)
            else:
                self._run_code(box)
            self._check(box)
        except Failed as failure:
            problem = str(failure)
        missing = self._collect(box)
        if problem or missing:
            raise Failed(problem or missing)

    # --- the work ---

    def _run_code(self, box: Box) -> None:
        result = self._program(box, self.task.language, self.task.code, self.messages)
        self.log.sync(self.messages)
        self.log.note("run", language=self.task.language, code=self.task.code, **vars(result))
        if reason := _why(result):
            raise Failed(f"The code {reason}.")

    def _converse(self, box: Box, model: Model) -> None:
        runner = talk.Runner(box, self.log, self._look)
        talk.converse(self.task, self.settings, model, runner, self.messages, self.log)
        last = self.messages[-1]
        if (last["role"], last["type"]) == ("computer", "message"):  # the loop has given up, and said why
            raise Failed(last["content"])

    def _program(self, box: Box, language: str, code: str, messages: list[Message]) -> ExecResult:
        """Run a program of its own, whose output goes to ``messages``, and return how it ended. Raises Stopped."""
        self._look()
        execution = box.execute(language, code, script=Script())
        talk.take(chunks_of(execution), messages, language, code)
        self._look()
        return execution.result

    def _look(self) -> None:
        """Raise Stopped or Failed if this try has to end."""
        self.switch.check()
        if self.expired:
            raise Failed("The deadline was reached.")

    # --- what has to hold afterwards ---

    def _check(self, box: Box) -> None:
        for check in self.task.checks:
            self._checks.append(self._outcome(box, check))
        failed = [check for check in self._checks if not check.passed]
        if failed:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise Failed(f"The check {failed[0].name!r} exited with {failed[0].exit_code}{more}.")

    def _outcome(self, box: Box, check: Check) -> CheckResult:
        said: list[Message] = []
        begun = time.perf_counter()
        result = self._program(box, check.language, check.code, said)
        passed = not _why(result)
        output = tail(talk.printed(said))
        self.log.note("check", name=check.name, language=check.language, code=check.code, passed=passed,
                      output=output, **vars(result))
        return CheckResult(check.name, passed, result.exit_code, output, round(time.perf_counter() - begun, 3))

    def _collect(self, box: Box) -> str:
        """Copy the artifacts out, and return what is wrong with them, if anything."""
        self._look()
        problem = ""
        for pattern in dict.fromkeys((*self.task.artifacts, *(self.wanted if self.out else ()))):
            found = [str(path) for path in box.download(pattern, self.out)] if self.out else box.files(pattern)
            self._artifacts.extend(name for name in found if name not in self._artifacts)
            if not found and pattern in self.task.artifacts:
                problem = problem or f"No file in /workspace matches the artifact {pattern!r}."
        return problem

    # --- time ---

    @contextmanager
    def _deadline(self, box: Box) -> Iterator[None]:
        if not self.task.deadline:
            yield
            return
        timer = threading.Timer(self.task.deadline, self._expire, (box,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _expire(self, box: Box) -> None:
        self.expired = True
        box.close()  # whatever runs in it, and whoever waits for that


def _why(result: ExecResult) -> str:
    """Return why a program did not do well, as the end of a sentence; "" if it did."""
    if result.limit:
        return f"reached {_LIMITS[result.limit]}"
    return f"exited with {result.exit_code}" if result.exit_code else ""
