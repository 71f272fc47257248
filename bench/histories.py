"""Long conversations: what a person waits for at the prompt when there are thousands of messages."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from bench.measure import Figure, paired, timed
from bench.raw import RawEngine
from sandbox_interpreter import magics
from sandbox_interpreter.config import Settings
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import client, tokens
from sandbox_interpreter.models.base import Preparable
from sandbox_interpreter.models.choose import choose
from sandbox_interpreter.models.composer import Composer
from sandbox_interpreter.models.request import Form
from sandbox_interpreter.sessions import log
from sandbox_interpreter.sessions.history import restore

MODEL = "openai/gpt-4.1"
MESSAGES = 2000
RUNS = 15
TYPING = 1.0
"""Seconds in which nobody has typed eleven keys sooner, with the prompt in sight."""
BOUND = 100.0
"""Milliseconds that anything at the prompt may take."""


def figures(_: RawEngine) -> Iterator[Figure]:
    """Yield the figures of a history of 2,000 messages: commands, and the log behind them."""
    with (tempfile.TemporaryDirectory(prefix="sbi-bench-") as folder,
          mock.patch.dict(os.environ, SBI_DATA_DIR=folder)):
        yield from _commands(Path(folder))
        yield from _tokens()
    yield from _trimming()


def _commands(folder: Path) -> Iterator[Figure]:
    interpreter = Interpreter(Settings(model="demo"))
    interpreter.messages = _history()
    interpreter.workbench.journal.keep(interpreter.messages)
    path = folder / "messages.json"
    for command in (f"%save_message {path}", f"%load_message {path}", f"%jupyter {folder}/chat.ipynb",
                    f"%markdown {folder}/chat.md", "%undo"):
        times = [_run(interpreter, command) for _ in range(RUNS)]
        yield Figure(f"{command.split()[0]} with {MESSAGES:,} messages", statistics.median(times), "ms", BOUND)
    events = interpreter.workbench.session.events
    times = [timed(lambda: restore(log.read(events).entries)) for _ in range(RUNS)]
    yield Figure(f"resume: {RUNS} times {MESSAGES:,} messages in the log", statistics.median(times), "ms", BOUND * RUNS)


def _tokens() -> Iterator[Figure]:
    """Yield what %tokens takes in a chat, where what is new is counted while the prompt waits; first, and later."""
    client.load().token_counter(model=MODEL, text="-")
    interpreter = Interpreter(Settings(model=MODEL))
    model = choose(interpreter.settings)
    assert isinstance(model, Preparable)
    first, later = [], []
    for run in range(RUNS):
        interpreter.messages = _history(of=run)
        model.prepare(interpreter.messages)
        time.sleep(TYPING)
        first.append(_run(interpreter, "%tokens And now?"))
        later.append(_run(interpreter, "%tokens And now?"))
    yield Figure(f"%tokens with {MESSAGES:,} messages", statistics.median(later), "ms", BOUND)
    yield Figure(f"%tokens as the first thing typed to {MESSAGES:,} new messages", statistics.median(first), "ms",
                 BOUND)


def _trimming() -> Iterator[Figure]:
    """Yield what it takes to choose what a small model reads, and how that grows with the history."""
    few, many = _history(), [message for part in range(4) for message in _history(of=part)]
    composer = Composer(Form(True, 8000), 8000, None, tokens.counter(MODEL))
    mine, theirs = paired(lambda: timed(lambda: composer.compose(many, system="You code.")),
                          lambda: timed(lambda: composer.compose(few, system="You code.")), RUNS)
    yield Figure(f"trimming {MESSAGES:,} messages", theirs, "ms", BOUND)
    yield Figure(f"trimming {4 * MESSAGES:,} messages against {MESSAGES:,}", mine, "ms", 6, theirs)


def _history(of: int = 0) -> list[Message]:
    """Return a conversation in which no text comes twice; ``of`` tells one from another."""
    turn: list[Message] = [
        {"role": "user", "type": "message", "content": "Plot the rain of the last year, please."},
        {"role": "assistant", "type": "message", "content": "I read the file and draw it. " * 10},
        {"role": "assistant", "type": "code", "format": "python", "content": "print(frame.describe())\n" * 20},
        {"role": "computer", "type": "console", "format": "output", "content": "mean 1.23 max 45.6\n" * 50},
    ]
    return [{**message, "content": f"{of} {at} {message['content']}"}
            for at in range(MESSAGES // len(turn)) for message in turn]


def _run(interpreter: Interpreter, command: str) -> float:
    if command.startswith("%load"):
        interpreter.workbench.journal.sync([])  # so that all of them are new, and written to the log
    return timed(lambda: list(magics.run(interpreter, command)))
