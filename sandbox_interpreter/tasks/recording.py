"""A model's answers, kept in a file and played again, so that a suite of tasks runs without a key and without cost.

One JSON file a task: what was said to the model before each answer, and the answer. When it is played again, what is
said has to be the same, prompt and outputs alike; where it is not, the recording no longer matches, and the error says
where. Of pictures only the kind counts, and addresses of objects (``0x7f…``) do not. There are no secrets in it: they
are replaced by their names, as in a session's log.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox_interpreter.errors import RecordingMismatch
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.base import Answer, BrokenOff, CodeDelta, CodeEnd, Model, ModelEvent, TextDelta
from sandbox_interpreter.sandbox.below import open_below
from sandbox_interpreter.sessions.redact import Redactor
from sandbox_interpreter.tasks.results import write

VERSION = 1
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,16}\b")
_SHOWN = 120
_MOST_BYTES = 256 * 1024 * 1024


@dataclass
class Recorder:
    """A model whose answers are kept; ``save`` writes them. Only whole answers are: one that failed has none."""

    model: Model
    name: str
    redactor: Redactor
    _calls: list[dict[str, Any]] = field(default_factory=list)

    def stream(self, messages: Sequence[Message], *, system: str) -> Answer:
        """Yield the next answer of the model. Raises as it does."""
        said = _said(messages, self.redactor)
        events: list[ModelEvent] = []
        with closing(self.model.stream(messages, system=system)) as answer:
            for event in answer:
                events.append(event)
                yield event
        self._calls.append({"said": said, "answer": [*_joined(events, self.redactor)]})

    def save(self, path: Path) -> None:
        """Write the recording. Raises UsageError when the disk refuses."""
        before = 0
        for call in self._calls:  # each call says again all that was said before; only the new is kept
            said, call["said"] = call["said"], call["said"][before:]
            before = len(said)
        data = {"version": VERSION, "model": self.name, "calls": self._calls}
        write(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n", "--record")


@dataclass
class Player:
    """A model that answers from a recording. ``path`` is where that is."""

    path: Path
    redactor: Redactor
    name: str = ""
    _calls: list[dict[str, Any]] = field(default_factory=list)
    _next: int = 0

    def stream(self, messages: Sequence[Message], *, system: str) -> Answer:  # noqa: ARG002  # the seam's
        """Yield the next recorded answer. Raises RecordingMismatch where something else was said before it."""
        if self._next >= len(self._calls):
            raise self._no_match(f"it has {len(self._calls)} answers, and another is asked for")
        calls = self._calls[:self._next + 1]
        self._compare([entry for call in calls for entry in call["said"]], _said(messages, self.redactor))
        self._next += 1
        for kind, *texts in calls[-1]["answer"]:
            yield _EVENTS[kind](*texts)

    def check_end(self) -> None:
        """Raise RecordingMismatch if there are answers that nobody has asked for."""
        if self._next < len(self._calls):
            raise self._no_match(f"only {self._next} of its {len(self._calls)} answers were asked for")

    def _compare(self, recorded: list[list[str]], said: list[list[str]]) -> None:
        for number, (then, now) in enumerate(itertools.zip_longest(recorded, said), 1):
            if then == now:
                continue
            if then is None or now is None or then[:-1] != now[:-1]:
                raise self._no_match(f"message {number} was {_kind(then)}, and is {_kind(now)}")
            before, after = _first_difference(then[-1], now[-1])
            raise self._no_match(f"message {number} ({_kind(then)}) had {before!a}, and has {after!a}")

    def _no_match(self, why: str) -> RecordingMismatch:
        return RecordingMismatch(f"The recording {self.path} no longer matches: {why}.",
                       next_step="If the change is meant, record it again: --record")


def load(path: Path, redactor: Redactor) -> Player:
    """Return the model that plays the recording at ``path``. Raises RecordingMismatch if none can be read."""
    try:
        with open_below(path.parent, (path.name,)) as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise ValueError("it is too large")
        data = json.loads(text)
        if data["version"] != VERSION:
            raise ValueError(f"it is of version {data['version']!r}")
        calls = [{"said": [[str(text) for text in entry] for entry in call["said"]],
                  "answer": [_checked(event) for event in call["answer"]]} for call in data["calls"]]
        return Player(path, redactor, str(data["model"]), calls)
    except FileNotFoundError:
        raise RecordingMismatch(f"There is no recording {path}.", next_step="Make it, with a model: --record") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordingMismatch(f"The recording {path} cannot be read: {error}.",
                      next_step="Make it anew, with a model: --record") from None


_EVENTS: dict[str, type[TextDelta | CodeDelta | CodeEnd]] = {"text": TextDelta, "code": CodeDelta, "end": CodeEnd}
_TEXTS = {"text": 1, "code": 2, "end": 0}


def _checked(event: Any) -> list[str]:
    if not isinstance(event, list) or not all(isinstance(text, str) for text in event) or not event or \
            _TEXTS.get(event[0]) != len(event) - 1:
        raise ValueError(f"{str(event)[:_SHOWN]!a} is no part of an answer")
    return event


def _said(messages: Sequence[Message], redactor: Redactor) -> list[list[str]]:
    """Return messages as they are compared: what they are, and their text."""
    return [[message["role"], message["type"], message.get("format", ""),
             "" if message["type"] == "image" else _ADDRESS.sub("0x…", redactor.text(message["content"]))]
            for message in messages]


def _joined(events: Sequence[ModelEvent], redactor: Redactor) -> Iterator[list[str]]:
    """Yield the parts of an answer, its pieces put together; of one that began again, only the last beginning."""
    again = [at for at, event in enumerate(events) if isinstance(event, BrokenOff) and event.again]
    whole = events[again[-1] + 1:] if again else events
    for key, group in itertools.groupby(whole, key=_part):
        pieces = list(group)
        if key[0] == "end":
            yield from (["end"] for _ in pieces)
        elif key[0]:
            text = "".join(getattr(piece, "text" if key[0] == "text" else "code") for piece in pieces)
            yield [*key, redactor.text(text)]


def _part(event: ModelEvent) -> tuple[str, ...]:
    match event:
        case TextDelta():
            return ("text",)
        case CodeDelta(language):
            return ("code", language)
        case CodeEnd():
            return ("end",)
    return ("",)


def _kind(entry: Sequence[str] | None) -> str:
    return "nothing" if entry is None else " ".join(filter(None, entry[:-1]))


def _first_difference(then: str, now: str) -> tuple[str, str]:
    """Return the first line in which two texts differ, of each."""
    for before, after in itertools.zip_longest(then.splitlines(), now.splitlines(), fillvalue=""):
        if before != after:
            return before[:_SHOWN], after[:_SHOWN]
    return then[-_SHOWN:], now[-_SHOWN:]

