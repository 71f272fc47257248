"""A session that this program has open: its log to write on, its record, and what the log holds already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sandbox_interpreter.errors import WorkspaceError
from sandbox_interpreter.messages import Message
from sandbox_interpreter.sessions import log
from sandbox_interpreter.sessions.history import facts_of, restore
from sandbox_interpreter.sessions.log import EventLog
from sandbox_interpreter.sessions.redact import Redactor
from sandbox_interpreter.sessions.session import Session

AUDITED = {"approval", "run", "error", "sandbox", "policy"}
"""Events that are on the disk before anything else happens: what an audit asks for."""


class OpenSession:
    """Writes one session, without the secrets that ``redactor`` knows. Its methods raise OSError, WorkspaceError.

    Raises UsageError if a program has it open already, WorkspaceError. ``history`` is what there was to read.
    """

    def __init__(self, session: Session, redactor: Redactor) -> None:
        self.session = session
        self.record = session.record()
        self._redactor = redactor
        try:
            self._log = EventLog(session.events)
            try:
                events = log.read(session.events)
            except BaseException:
                self._log.close()
                raise
        except OSError as error:
            raise WorkspaceError(f"Cannot open {session.events}: {error.strerror}.",
                                 next_step="Look at its permissions, and at the room on its disk.") from error
        self.history = restore(events.entries)
        self.history.problems[:0] = events.problems
        self._logged = [_imprint(message) for message in self.history.messages[:self.history.logged]]

    def write(self, event: str, facts: Mapping[str, Any], *, durable: bool = False) -> None:
        """Write one event. ``durable``: it is on the disk before this returns; some events always are."""
        self._log.append(event, self._redactor.data(facts), durable=durable or event in AUDITED)

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Change the record."""
        record = replace(self.record, **facts)
        if record != self.record:
            self.record = record
            self.session.describe(record)

    def sync(self, messages: Sequence[Message]) -> None:
        """Bring the log in line with a history that anybody may have changed. Takes time linear in it."""
        same = 0
        for imprint, message in zip(self._logged, messages, strict=False):
            if imprint != _imprint(message):
                break
            same += 1
        if same < len(self._logged):
            self.write("history", {"keep": same})
            del self._logged[same:]
        self.add(messages)

    def add(self, messages: Sequence[Message]) -> None:
        """Write the messages that are new at the end of a history; the others are taken to be as they were.

        What fails is tried again the next time.
        """
        for at in range(len(self._logged), len(messages)):
            message = messages[at]
            # What the user said just now is what must not be lost; one wait for the disk does for all before it.
            self.write("message", facts_of(message), durable=at == len(messages) - 1 and message["role"] == "user")
            self._logged.append(_imprint(message))

    def close(self) -> None:
        """Let go of the session."""
        self._log.close()


def _imprint(message: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what tells a message from another; its content is referred to, not copied."""
    return tuple(facts_of(message).items())
