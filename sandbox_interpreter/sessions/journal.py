"""What a conversation writes down while it goes on: every message, run, approval, notice and error, as it happens.

The journal begins a session with the first thing to write, and another after a reset. It never stands in the way of
the conversation: when the disk refuses, the user is told once, and what was missed is written when it can be.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.messages import Message
from sandbox_interpreter.sandbox.outputs import ExecResult
from sandbox_interpreter.sandbox.policy import split_access
from sandbox_interpreter.sessions import store
from sandbox_interpreter.sessions.history import History
from sandbox_interpreter.sessions.opened import AUDITED, OpenSession
from sandbox_interpreter.sessions.redact import Redactor
from sandbox_interpreter.sessions.session import Record, Session
from sandbox_interpreter.version import VERSION

_MOST_MISSED = 1000
"""Events of the audit that wait for room on the disk, the newest of more."""


class Journal:
    """Keeps the sessions of a conversation. ``notify`` is told when that fails; ``secrets`` are never written.

    No method raises what its docstring does not name: a log is no reason to lose a conversation. Thread-safe.
    """

    def __init__(self, settings: Settings, *, notify: Callable[[str], object],
                 secrets: Mapping[str, str] | None = None) -> None:
        self.title = ""
        """The first message, from which a session that begins gets its name."""
        self.worth_keeping = False
        """Whether the session's folder stays when it is closed."""
        self.redactor = Redactor(secrets)
        self._settings = settings
        self._notify = notify
        self._lock = threading.RLock()
        self._open: OpenSession | None = None
        self._closed: Session | None = None  # the one that goes on if there is more to write
        self._next = Record()  # what a session that begins is
        self._refused = False
        self._missed: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MOST_MISSED)

    # --- the session ---

    @property
    def session(self) -> Session:
        """Return the session; the first call makes its folder. Raises WorkspaceError, UsageError if it is open."""
        with self._lock:
            return self._opened().session

    @property
    def record(self) -> Record:
        """Return what the session is, or what the next one will be."""
        return self._open.record if self._open else self._closed.record() if self._closed else self._next

    @property
    def workspace(self) -> str:
        """Return the folder for /workspace, where the settings name none. Raises as ``session``."""
        return self.record.workspace or str(self.session.make_workspace())

    def _opened(self) -> OpenSession:
        self._learn_secrets()
        if self._open is None and self._closed and self._closed.exists:
            self._open = OpenSession(self._closed, self.redactor)
        if self._open is None:
            facts = self._sandbox_facts()
            record = replace(self._next, title=self.redactor.text(self.title), **facts)
            self._open = OpenSession(store.create(record), self.redactor)
            self._open.write("opened", {"sbi": VERSION, **facts})
        self._closed = self._open.session
        return self._open

    def without_secrets(self, text: str) -> str:
        """Return ``text`` as it may be written down, for whatever place."""
        self._learn_secrets()
        return self.redactor.text(text)

    def _learn_secrets(self) -> None:
        settings = self._settings
        passed = ((name, os.environ.get(name)) for name in settings.secret)
        for name, value in (("api_key", settings.api_key), ("token", settings.token), *passed):
            self.redactor.add(name, value)

    def _sandbox_facts(self) -> dict[str, Any]:
        settings = self._settings
        workspace = _absolute(settings.workspace) or self.record.workspace
        return {"image": settings.image, "engine": settings.engine or "", "workspace": workspace,
                "policy": asdict(settings.policy())}

    def resume(self, session: Session) -> History:
        """Return an earlier session's conversation; from now on it is written on.

        Raises UsageError if it is open already, WorkspaceError; then nothing has changed.
        """
        with self._lock:
            opened = OpenSession(session, self.redactor)
            self.close()
            self._open, self._closed = opened, session
            self.title, self.worth_keeping = opened.record.title or session.name, True
        self.note("resumed", sbi=VERSION)
        return opened.history

    def begin_anew(self) -> None:
        """Let the next message begin another session, on the same files; settings stay.

        A session in which nothing came to anything is used for that, too.
        """
        with self._lock:
            self.title = ""
            if not self.worth_keeping:
                self.sync([])
                return
            self.note("sandbox", state="reset")
            record = self.record
            own = str(self._closed.own_workspace) if self._closed else ""
            self.describe(container="")  # it is the next one's
            self._leave()
            self._next = replace(record, title="", workspace=record.workspace or own)

    def close(self) -> None:
        """Let go of the session; one in which nothing came to anything leaves no folder. Harmless when repeated."""
        with self._lock:
            session, worth = self._closed, self.worth_keeping
            if self._open:
                self._catch_up()
                self._open.close()
                self._open = None
            if session and not worth:
                self._leave()
                with suppress(SandboxInterpreterError):
                    session.discard()

    def _leave(self) -> None:
        if self._open:
            self._catch_up()
            self._open.close()
        self._missed.clear()
        self._open = self._closed = None
        self.worth_keeping = False

    # --- writing ---

    def _try(self, write: Callable[[OpenSession], object]) -> bool:
        """Let ``write`` write to the session, which is begun if need be; tell whether it could."""
        with self._lock:
            try:
                write(self._opened())
            except (OSError, SandboxInterpreterError) as error:
                self._tell(str(getattr(error, "strerror", "") or error))
                return False
            except BaseException:  # a Ctrl-C: how far it came is read from the log the next time
                if self._open:
                    self._open.close()
                    self._open = None
                raise
            return True

    def _tell(self, reason: str) -> None:
        if not self._refused:
            self._refused = True
            self._notify(f"This conversation cannot be recorded, but goes on: {reason.rstrip('.')}.")

    def describe(self, **facts: Any) -> None:
        """Keep facts of the session's record, such as the model."""
        with self._lock:
            if self._closed:
                self._try(lambda opened: opened.describe(facts))
            else:
                self._next = replace(self._next, **facts)

    def describe_sandbox(self, **facts: Any) -> None:
        """Keep how the sandbox is that is made now: as the settings say, and ``facts``."""
        before, current = self.record.policy, self._sandbox_facts()
        self.describe(**current, **facts)
        if self._closed and before != current["policy"]:
            self.note("policy", **current)

    def fits(self, record: Record) -> bool:
        """Tell whether the settings ask for the sandbox that ``record`` is of."""
        facts, then = self._sandbox_facts(), asdict(record)
        policy = {name: facts["policy"].get(name) for name in record.policy}
        return {**facts, "policy": policy} == {name: then[name] for name in facts}

    def note(self, event: str, **facts: Any) -> bool:
        """Write one event, and tell whether it was written. One that an audit asks for is written later if need be."""
        with self._lock:
            must_wait = event in AUDITED and bool(self._missed)
            if not must_wait and self._try(lambda opened: opened.write(event, facts)):
                return True
            if event in AUDITED:
                when = datetime.now(UTC).isoformat(timespec="milliseconds")
                self._missed.append((event, {"time": when, **facts}))
            return False

    def _catch_up(self) -> None:
        """Write what an audit asks for and was not written before; behind the messages that it is about."""
        while self._missed:
            event, facts = self._missed[0]
            if not self._try(lambda opened, event=event, facts=facts: opened.write(event, facts)):  # type: ignore[misc]  # binds the loop's values
                return
            self._missed.popleft()

    def notice(self, text: str) -> None:
        """Write what the user was told, if there is a session already: a notice is no reason to begin one."""
        if self._open:
            self.note("notice", text=text)

    def run(self, language: str, code: str, result: ExecResult) -> None:
        """Write that ``code`` ran, and how it ended."""
        self.worth_keeping = True
        self.note("run", language=language, code=code, **asdict(result))

    def sync(self, messages: Sequence[Message]) -> None:
        """Bring the log in line with a history that anybody may have changed. Takes time linear in it."""
        if self._closed or messages:
            if self._try(lambda opened: opened.sync(messages)):
                self._catch_up()
            if self.title and not self.record.title:
                self.describe(title=store.short(self.redactor.text(self.title)))

    def add(self, messages: Sequence[Message]) -> None:
        """Write the messages that are new at the end of a history; the others are taken to be as they were."""
        if self._try(lambda opened: opened.add(messages)):
            self._catch_up()

    def keep(self, messages: Sequence[Message]) -> None:
        """Bring the log in line with a history that the user has brought, and keep it whatever becomes of it."""
        self.worth_keeping = True
        self.sync(messages)


def _absolute(workspace: str | None) -> str:
    """Return a workspace as one can name it from any other folder; "" for none."""
    if not workspace:
        return ""
    folder, access = split_access(workspace)
    return f"{Path(folder).expanduser().absolute()}{'' if access == 'rw' else f':{access}'}"
