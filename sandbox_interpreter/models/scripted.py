"""A model that says what a YAML file tells it to: for tests, for demonstrations, and for trying things without a key.

    turns:
      - text: I count to three.          # what it says; may be left out
        code: print(1, 2, 3)             # what it then runs; may be left out
        language: python                 # python unless said otherwise
      - expect: 1 2 3                    # a regular expression that what it reads now must match; may be left out
        text: There it is.

One turn is one answer. A turn without code ends what belongs to one prompt, so the next prompt is answered by the turns
behind it. ``repeat: true`` begins again from the top when all prompts are used up. ``delay`` is the time in seconds
between two pieces of an answer, for those who like to watch.

Nothing is remembered between calls: which turn comes next is read from the conversation, so a call can be tried again
and a conversation resumed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox_interpreter import reading
from sandbox_interpreter.errors import ModelNotConfigured, ModelUnavailable
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.base import Answer, CodeDelta, CodeEnd, TextDelta
from sandbox_interpreter.models.markdown import DEFAULT_LANGUAGE

DEMO = Path(__file__).with_name("demo.yaml")
PIECE = 6
"""Characters that come at once, about what a token holds."""


@dataclass(frozen=True)
class Turn:
    """One answer."""

    text: str = ""
    code: str = ""
    language: str = DEFAULT_LANGUAGE
    expect: str = ""


@dataclass(frozen=True)
class ScriptedModel:
    """Answers with ``turns``, whatever it is asked. ``name`` is where they come from."""

    name: str
    turns: tuple[Turn, ...]
    repeat: bool = False
    delay: float = 0.0

    def stream(self, messages: Sequence[Message], *, system: str) -> Answer:  # noqa: ARG002  # the seam's
        """Yield the turn that comes next. Raises ModelUnavailable: none is left, or the turn expected another text."""
        turn = self._next(messages)
        newest = next((message["content"] for message in reversed(messages) if message["type"] != "image"), "")
        if not re.search(turn.expect, newest):
            raise ModelUnavailable(f"The script {self.name} expected {turn.expect!r}, but was told {newest[:200]!r}.")
        for piece in self._pieces(turn.text):
            yield TextDelta(piece)
        if turn.code:
            for piece in self._pieces(turn.code):
                yield CodeDelta(turn.language, piece)
            yield CodeEnd()

    def _next(self, messages: Sequence[Message]) -> Turn:
        prompts = [at for at, message in enumerate(messages) if message["role"] == "user" and message["type"] != "code"]
        behind = messages[prompts[-1]:] if prompts else messages
        runs = sum(message["role"] == "assistant" and message["type"] == "code" for message in behind)
        scenes = self._scenes()
        number = max(len(prompts) - 1, 0)
        if number >= len(scenes) and not self.repeat:
            raise ModelUnavailable(f"The script {self.name} has no answer to prompt {number + 1}.",
                                   next_step="Begin again with %reset, or reset() in Python.")
        scene = scenes[number % len(scenes)]
        return scene[min(runs, len(scene) - 1)]

    def _scenes(self) -> list[list[Turn]]:
        """Return the turns grouped by the prompt that they belong to."""
        scenes: list[list[Turn]] = [[]]
        for turn in self.turns:
            scenes[-1].append(turn)
            if not turn.code:
                scenes.append([])
        return [scene for scene in scenes if scene]

    def _pieces(self, text: str) -> Iterator[str]:
        for at in range(0, len(text), PIECE):
            time.sleep(self.delay)
            yield text[at:at + PIECE]


def load(path: Path) -> ScriptedModel:
    """Return the model that a file describes. Raises ModelNotConfigured that says what is wrong with it."""
    import yaml

    try:
        data = yaml.safe_load(reading.read_text(path, reading.LIST))
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = error if isinstance(error, yaml.YAMLError) else reading.reason(error)
        raise ModelNotConfigured(f"The script {path} cannot be read: {why}.",
                                 next_step="Write one as docs/models.md shows, or use: -m demo") from None
    try:
        return _model(str(path), data)
    except (TypeError, ValueError, KeyError) as error:
        raise ModelNotConfigured(f"The script {path} is malformed: {error}.",
                                 next_step="Write `turns:`, a list of text, code, language and expect.") from None


def _model(name: str, data: Any) -> ScriptedModel:
    if not isinstance(data, dict) or not isinstance(data.get("turns"), list) or not data["turns"]:
        raise ValueError("it has no list of turns")
    turns = tuple(_turn(number, turn) for number, turn in enumerate(data["turns"], 1))
    if unknown := data.keys() - {"turns", "repeat", "delay"}:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
    return ScriptedModel(name, turns, bool(data.get("repeat", False)), float(data.get("delay", 0)))


def _turn(number: int, data: Any) -> Turn:
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise ValueError(f"turn {number} is not a mapping of texts")
    if unknown := data.keys() - {"text", "code", "language", "expect"}:
        raise ValueError(f"turn {number} has an unknown key {sorted(unknown)[0]!r}")
    turn = Turn(**{key: value.removesuffix("\n") for key, value in data.items()})
    try:
        re.compile(turn.expect)
    except re.error as error:
        raise ValueError(f"turn {number} expects {turn.expect!r}, which is no regular expression: {error}") from None
    return turn
