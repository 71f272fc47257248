"""From the events of a session back to its conversation.

The log is only appended to, so a history that was changed is told by what is kept of it: ``history`` with the number
of messages that stay, and behind it those that are new. A message stands in the log when it is whole; of one that
takes long there are ``partial`` events before it, which count where the whole never came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.messages import Message, as_message

_HEAD = ("role", "type", "format")
FORGOTTEN = ("reset", "lost")
"""States of a sandbox in which nothing is left of what code had set up, and the model knows that."""


def facts_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is written of a message."""
    return {key: message[key] for key in (*_HEAD, "content") if key in message}


@dataclass
class History:
    """A conversation as its log tells it.

    The first ``logged`` of its ``messages`` stand in the log; one more may have been put together from its pieces.
    ``has_run``: code has set up something that the model may count on. ``running`` is the block whose end nobody saw.
    """

    messages: list[Message] = field(default_factory=list)
    logged: int = 0
    has_run: bool = False
    running: Message | None = None
    problems: list[str] = field(default_factory=list)

    def add(self, facts: Mapping[str, Any]) -> None:
        """Take one message as it was written."""
        try:
            message = as_message(facts_of(facts))
        except UsageError as error:
            self.problems.append(f"A message in the log is none. {error}")
            return
        self.messages.append(message)
        if message["type"] == "code":
            self.running = message

    def cut(self, keep: Any) -> None:
        """Drop all messages behind the first ``keep``."""
        if isinstance(keep, int) and 0 <= keep <= len(self.messages):
            del self.messages[keep:]
        else:
            self.problems.append(f"The log keeps {keep!r} of {len(self.messages)} messages, which cannot be.")


def restore(entries: Iterable[Mapping[str, Any]]) -> History:
    """Return the conversation that ``entries`` add up to; what makes no sense is passed over and reported."""
    history, pieces = History(), _Pieces()
    for entry in entries:
        match entry["event"]:
            case "message":
                pieces = _Pieces()
                history.add(entry)
            case "partial":
                pieces.add(entry)
            case "history":
                history.cut(entry.get("keep"))
            case "run":
                history.has_run, history.running = True, None
            case "sandbox" if entry.get("state") in FORGOTTEN:
                history.has_run, history.running = False, None
    history.logged = len(history.messages)
    if pieces.head:
        history.add({**pieces.head, "content": "".join(pieces.texts)})
    history.has_run = history.has_run or history.running is not None
    return history


class _Pieces:
    """What there is of a message that never came whole."""

    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self.texts: list[str] = []

    def add(self, entry: Mapping[str, Any]) -> None:
        facts = facts_of(entry)
        text = facts.pop("content", None)
        if facts != self.head:
            self.head, self.texts = facts, []
        if isinstance(text, str):
            self.texts.append(text)
