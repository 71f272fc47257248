"""What a conversation works on: a session on disk and a sandbox, each made when it is first needed."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox_interpreter import config, environment
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.errors import SandboxClosed, SandboxInterpreterError
from sandbox_interpreter.messages import Chunk, Message, outputs_of_last_code
from sandbox_interpreter.notices import Notices
from sandbox_interpreter.sandbox import chunks, launch
from sandbox_interpreter.sandbox import workspace as workspaces
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.inbox import SHOWN_WINDOW, WINDOW
from sandbox_interpreter.sandbox.outputs import ExecResult
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sandbox.workspace import Workspace
from sandbox_interpreter.sessions import store
from sandbox_interpreter.sessions.egress_log import EgressLog
from sandbox_interpreter.sessions.history import History
from sandbox_interpreter.sessions.journal import Journal
from sandbox_interpreter.sessions.session import Session
from sandbox_interpreter.siblings import Siblings
from sandbox_interpreter.values import parse_locks


@dataclass(frozen=True)
class Resumed:
    """What was found of an earlier session: its conversation, and whether its sandbox ``lives``, variables and all."""

    history: History
    lives: bool


class Workbench:
    """Makes a session and a sandbox as ``settings`` say at that time, and is the conversation's runner.

    ``env`` and ``secrets`` reach the code's environment and nothing else, beside those that the settings name.
    ``journal`` is the session's: what happens is written there.
    """

    def __init__(self, settings: Settings, *, env: Mapping[str, str] | None = None,
                 secrets: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.engine: ContainerEngine | None = None
        """The engine to use in place of the one that the settings name."""
        self.notices = Notices()
        self._env = dict(env or {})
        self._secrets = dict(secrets or {})
        self.journal = Journal(settings, notify=self.notices, secrets=self._secrets)
        self.notices.record = self.journal.notice
        self._lock = threading.RLock()
        self._sandbox: Sandbox | None = None
        self._closer: weakref.finalize[[], Workbench] | None = None
        self._siblings = Siblings(self.notices)
        self._busy: Sandbox | None = None
        self._unfinished: list[Execution] = []
        self._running = False

    @property
    def session(self) -> Session:
        """Return the session; the first call makes its folder. Raises WorkspaceError."""
        return self.journal.session

    @property
    def sandbox(self) -> Sandbox:
        """Return the sandbox; the first call makes it, the first run starts it. Raises WorkspaceError, UsageError."""
        with self._lock:
            if self._sandbox is None:
                self._sandbox = self._make(self.settings.image)
                # For when nobody calls close: it is done when this object or the process ends.
                self._closer = weakref.finalize(self, functools.partial(_close_all, self._sandbox, self._siblings))
                env, secrets = self._environment()
                self.journal.describe_sandbox(container=self._sandbox.session, env=tuple(env), secret=tuple(secrets))
            return self._sandbox

    def _make(self, image: str, beside: str = "") -> Sandbox:
        """Return a sandbox as the settings say, of ``image``; ``beside`` names one beside the session's first."""
        settings = self.settings
        env, secrets = self._environment()
        place = self._place(beside)
        if beside:  # what there is to say of the workspace has been said
            place = replace(place, notice="")
        return Sandbox(
            image, policy=settings.policy(), engine=self.engine or settings.engine, env=env, secrets=secrets,
            workspace=place, session=beside or self.journal.record.container or store.container_label(),
            notify=self.notices, provide=provider(self.notices, settings.ca_bundle),
            way_out=launch.way_out_of(settings, questions=self.notices.questions, record=EgressLog(self.journal)),
            locked=parse_locks(settings.lock), progress=self.notices.copying)

    def _place(self, beside: str) -> Workspace:
        """Return the workspace, and where packages go that are installed: with the session's other files.

        There also is what was copied, should /workspace be a copy; ``beside`` is a sandbox that has one of its own.
        """
        settings = self.settings
        place = workspaces.resolve(settings.workspace or self.journal.workspace, engine=settings.engine)
        place = replace(place, record=self.session.folder / f"copied{beside and '-'}{beside}.json")
        if settings.network == "none":
            return place
        return replace(place, packages=self.session.make_folder("packages", user=place.user))

    def _environment(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the variables and the secrets that the code gets. Raises UsageError."""
        return (environment.variables(self.settings) | self._env, environment.secrets(self.settings) | self._secrets)

    @property
    def workspace(self) -> Path | None:
        """Return the host folder that is /workspace; None before there is a sandbox."""
        return self._sandbox.workspace if self._sandbox else None

    def prepare(self) -> None:
        """Begin to start the sandbox, in the background. Raises WorkspaceError; the first run tells what else fails."""
        if self._sandbox:
            return
        sandbox = self.sandbox

        def start() -> None:
            with suppress(SandboxInterpreterError):  # the first run meets the same error, where it can be told
                sandbox.start()

        threading.Thread(target=start, name="start-sandbox", daemon=True).start()

    def run(self, language: str, code: str) -> Generator[Chunk, None, ExecResult]:
        """Yield the output of ``code``; return how it ended. Raises EngineError, WorkspaceError, UnknownLanguage."""
        # A conversation is shown as it goes on; what waits to be shown would hide that Ctrl-C has landed.
        execution = self.execute(language, code, window=SHOWN_WINDOW)
        self._running = True
        try:
            yield from chunks.chunks_of(execution)
        finally:
            self._running = False
        return execution.result

    def execute(self, language: str, code: str, *, timeout: float | None = None, window: int = WINDOW) -> Execution:
        """Return a run of ``code`` that has begun, for who wants more of it than chunks. Raises as ``run``.

        ``timeout`` is in seconds and replaces the settings'; 0 means none. ``window`` is as for ``Sandbox.execute``.
        """
        first = self.sandbox
        sandbox = self._busy = self._siblings.serving(
            language, first, lambda image: self._make(image, beside=f"{first.session}-{image}"))
        execution = sandbox.execute(language, code, timeout=timeout, active_line=True, window=window)
        execution.when_ended = functools.partial(_record, self.journal, sandbox, language, code)
        return execution

    def interrupt(self) -> bool:
        """Ask the code that runs to stop; tell whether any does."""
        busy = self._busy or self._sandbox
        if self._running and busy:
            busy.interrupt()
        return self._running

    def reset(self) -> None:
        """Forget what the code has set up: variables, shells, processes. Files stay, and another session begins."""
        for sandbox in (self._sandbox, *self._siblings):
            if sandbox:
                sandbox.reset()
        self.journal.begin_anew()

    # --- earlier sessions ---

    def resume(self, session: Session, *, keep: Collection[str] = ()) -> Resumed:
        """Take up an earlier session: its settings, its files, and its sandbox if that lives; else a new one starts.

        ``keep`` names the settings that stay as they are; a model that is configured does. Raises UsageError if the
        session is open already, WorkspaceError, ConfigError; then nothing has changed.
        """
        record = session.record()
        kept = {*keep, "model"} if self.settings.model else set(keep)
        found = {name: value for name, value in record.settings().items() if name not in kept}
        settings = {name: config.convert(name, value) for name, value in found.items()}
        history = self.journal.resume(session)
        self._close_sandbox()
        for name, value in settings.items():
            setattr(self.settings, name, value)
        lives = bool(record.container) and self._rejoin()
        if lives and keep and not self.journal.fits(record):
            self._close_sandbox()  # it has the limits that it began with, not those that are asked for now
            lives = False
        if not lives and history.has_run:
            self.journal.note("sandbox", state="lost")
            if missing := {*record.env, *record.secret}.difference(*self._environment()):
                self.notices("The code's environment had variables whose values are kept nowhere; pass them again if "
                             f"they are needed: {', '.join(sorted(missing))}.")
        return Resumed(history, lives)

    def _rejoin(self) -> bool:
        """Take up the session's living container, and tell whether there is one."""
        try:
            self._unfinished = self.sandbox.reattach()
        except SandboxClosed:
            return False
        except SandboxInterpreterError as error:  # the conversation can be read all the same
            self.notices(error.report())
            return False
        self.journal.note("sandbox", state="reattached")
        return True

    def catch_up(self, running: Message | None = None, so_far: Sequence[Message] = ()) -> Generator[Chunk, None, None]:
        """Yield what the resumed session's runs have said meanwhile, and say until they end; ``running`` is the code.

        ``so_far`` is the conversation, which has some of their output already. Closing this interrupts them. Raises
        EngineError.
        """
        unfinished, self._unfinished = self._unfinished, []
        seen = outputs_of_last_code(so_far)
        for execution in unfinished:
            if running:
                execution.when_ended = functools.partial(
                    _record, self.journal, self.sandbox, running.get("format", ""), running["content"])
            self._running = True
            try:
                with closing(chunks.chunks_of(execution)) as output:
                    yield from chunks.unseen(output, seen)
            finally:
                self._running = False

    # --- the end ---

    def close(self) -> None:
        """End the sandbox. The session's folder stays, unless nothing came of it. Harmless when repeated."""
        try:
            self._close_sandbox()
        finally:
            self.journal.close()

    def _close_sandbox(self) -> None:
        with self._lock:
            sandbox, self._sandbox = self._sandbox, None
            closer, self._closer = self._closer, None
        if closer:
            closer.detach()
        if sandbox:
            _close_all(sandbox, self._siblings)


def _close_all(sandbox: Sandbox, siblings: Siblings) -> None:
    """End a session's sandboxes. No method: what holds its workbench would keep it from ever being dropped."""
    try:
        siblings.close()
    finally:
        sandbox.close()


def _record(journal: Journal, sandbox: Sandbox, language: str, code: str, result: ExecResult) -> None:
    """Write down a run. No method, for the same reason."""
    journal.run(language, code, result)
    if not journal.record.image_id:
        with suppress(SandboxInterpreterError):
            journal.describe(image_id=sandbox.image_id)


def provider(notices: Notices, ca_bundle: str | None) -> Callable[[str, ImageStore], None]:
    """Return what makes an image that a sandbox lacks, and tells ``notices``. No method, for the same reason."""
    def provide(image: str, images: ImageStore) -> None:
        from sandbox_interpreter.catalogue.build import ensure

        ensure(image, images, lambda progress: notices.step(image, progress), ca_bundle=ca_bundle)

    return provide
