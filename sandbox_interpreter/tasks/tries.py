"""One task with all its tries: its model, live, recorded or played, its log, and its folder."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sandbox_interpreter import environment
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import NodeLost, RecordingMismatch, SandboxInterpreterError, WorkspaceError
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import choose
from sandbox_interpreter.models.base import Model, Preparable
from sandbox_interpreter.models.choose import Wiring
from sandbox_interpreter.models.ledger import Ledger
from sandbox_interpreter.sessions.opened import OpenSession
from sandbox_interpreter.sessions.redact import Redactor
from sandbox_interpreter.sessions.session import Session
from sandbox_interpreter.tasks import recording
from sandbox_interpreter.tasks.attempt import Attempt
from sandbox_interpreter.tasks.place import Places, Switch
from sandbox_interpreter.tasks.record import Task
from sandbox_interpreter.tasks.results import Status, TaskResult


@dataclass(frozen=True)
class Folders:
    """Where things go and come from: each task has a folder, or a file, of its name in each of these."""

    out: Path | None = None
    """Event logs and artifacts."""
    record: Path | None = None
    replay: Path | None = None


@dataclass
class TaskLog:
    """The event log of a task, in the form of a session's; without ``folder``, nothing is written. Thread-safe."""

    folder: Path | None
    redactor: Redactor
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)
    _open: OpenSession | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            session = Session(self.folder)
            session.events.unlink(missing_ok=True)  # that of an earlier time
        except OSError as error:
            raise WorkspaceError(f"Cannot write to {self.folder}: {error.strerror}.",
                                 next_step="Name another folder: --out DIR") from None
        self._open = OpenSession(session, self.redactor)

    def note(self, event: str, **facts: Any) -> None:
        """Write one event."""
        with self._lock:
            if self._open:
                self._open.write(event, facts)

    def sync(self, messages: Sequence[Message]) -> None:
        """Bring the log in line with ``messages``."""
        with self._lock:
            if self._open:
                self._open.sync(messages)

    def close(self) -> None:
        """Let go of the log; what is noted later is dropped."""
        with self._lock:
            if self._open:
                self._open.close()
                self._open = None


@dataclass(frozen=True)
class Tries:
    """A task, ready to run with ``settings``, in any thread.

    ``most_lost`` is how often it begins anew, all its tries together, since the node that it was on is gone.
    """

    task: Task
    settings: Settings
    folders: Folders
    switch: Switch
    most_lost: int = 0

    def run(self, places: Places) -> TaskResult:
        """Return what the last try came to: the first that passed, or the last that is allowed. Raises Stopped."""
        redactor = Redactor(environment.secrets(self.settings))
        redactor.add("api_key", self.settings.api_key)
        try:
            log = TaskLog(self._in(self.folders.out), redactor)
        except SandboxInterpreterError as error:
            return self._refused("error", error)
        try:
            return _without_secrets(self._run(places, log, redactor), redactor)
        finally:
            log.close()

    def _run(self, places: Places, log: TaskLog, redactor: Redactor) -> TaskResult:
        ledger = Ledger()
        most = 1 if self.folders.replay and self.task.prompt else 1 + self.task.retries
        lost: list[str] = []
        number = 1
        while True:
            log.note("attempt", number=number, task=self.task.name, image=self.settings.image)
            try:
                result = replace(self._try(places, log, redactor, ledger), attempts=number, lost=tuple(lost))
            except NodeLost as error:
                lost.append(error.node)
                log.note("node_lost", node=error.node, reason=str(error))
                if len(lost) > self.most_lost:
                    return replace(self._refused("error", error), attempts=number, node=error.node, lost=tuple(lost))
                continue
            if result.status == "passed" or number == most:
                return result
            number += 1

    def _try(self, places: Places, log: TaskLog, redactor: Redactor, ledger: Ledger) -> TaskResult:
        name = ""
        try:
            model, name = self._model(ledger, log, redactor) if self.task.prompt else (None, "")
            out = self._in(self.folders.out)
            attempt = Attempt(self.task, self.settings, self.switch, log, model, ledger,
                              out / "artifacts" if out else None, self.settings.artifact)
            result = replace(attempt.run(places), model=name)
            if isinstance(model, recording.Recorder) and self.folders.record:
                model.save(self._file(self.folders.record))
            elif isinstance(model, recording.Player) and result.status == "passed":
                model.check_end()
        except RecordingMismatch as error:
            return self._refused("failed", error, name)
        except NodeLost:
            raise
        except SandboxInterpreterError as error:
            return self._refused("error", error, name)
        return result

    def _refused(self, status: Status, error: SandboxInterpreterError, model: str = "") -> TaskResult:
        return TaskResult(self.task.name, str(self.task.file), status, error.report(), model=model)

    def _model(self, ledger: Ledger, log: TaskLog, redactor: Redactor) -> tuple[Model, str]:
        """Return the model that answers, and its name. Raises RecordingMismatch, ModelNotConfigured."""
        if self.folders.replay:
            player = recording.load(self._file(self.folders.replay), redactor)
            return player, player.name
        name = choose.choice(self.settings).name
        secrets = tuple(environment.secrets(self.settings).values())
        live = choose.choose(self.settings, Wiring(ledger, lambda text: log.note("notice", text=text), secrets=secrets))
        return (recording.Recorder(live, name, redactor) if self.folders.record else live), name

    def prepare(self) -> None:
        """Begin, in the background, what the first answer would wait for; if that fails, the task will tell."""
        if self.task.prompt and not self.folders.replay:
            with suppress(SandboxInterpreterError):
                model = choose.choose(self.settings)
                if isinstance(model, Preparable):
                    model.prepare()

    def _in(self, folder: Path | None) -> Path | None:
        return folder / self.task.name if folder else None

    def _file(self, folder: Path) -> Path:
        place = folder / self.task.name
        return place.with_name(f"{place.name}.json")


def _without_secrets(result: TaskResult, redactor: Redactor) -> TaskResult:
    """Return a result for reports, which are often published: without secrets that the code has printed."""
    checks = tuple(replace(check, output=redactor.text(check.output)) for check in result.checks)
    return replace(result, reason=redactor.text(result.reason), output=redactor.text(result.output), checks=checks)
