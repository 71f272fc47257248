"""A journal of a session, turns that it watches, and what then stands in the log."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from sandbox_interpreter.config import Settings
from sandbox_interpreter.messages import Chunk, Message, transcribed
from sandbox_interpreter.sandbox.outputs import ExecResult
from sandbox_interpreter.sessions import log
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.journal import Journal
from sandbox_interpreter.sessions.session import Session
from sandbox_interpreter.sessions.watch import watch

PROMPT: Message = {"role": "user", "type": "message", "content": "Go."}
DONE = ExecResult(0, 12.5)


def begun(settings: Settings, told: list[str]) -> Journal:
    """Return a journal that has a title and knows a secret, and whose notices come into ``told``."""
    journal = Journal(settings, notify=told.append, secrets={"TOKEN": "hidden-value"})
    journal.title = "Go."
    return journal


def entries(session: Session) -> list[dict[str, Any]]:
    """Return the entries of its log, in which there is no problem."""
    found = log.read(session.events)
    assert found.problems == []
    return found.entries


def events(session: Session) -> list[str]:
    """Return the names of its events."""
    return [entry["event"] for entry in entries(session)]


def contents(session: Session) -> list[str]:
    """Return the content of each message that its log gives back."""
    return [message["content"] for message in restore(entries(session)).messages]


def answer(*blocks: tuple[Any, str]) -> Generator[Chunk, None, None]:
    """Yield an answer of blocks, each a head and a text, letter by letter."""
    for head, text in blocks:
        yield head.chunk(start=True)
        for letter in text:
            yield head.chunk(content=letter)
        yield head.chunk(end=True)


def turn(journal: Journal, messages: list[Message], *blocks: tuple[Any, str]) -> Generator[Chunk, None, None]:
    """Yield an answer while ``journal`` watches it and ``messages`` grow by it."""
    return watch(journal, transcribed(answer(*blocks), messages), messages)
