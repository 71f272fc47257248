"""A model and a runner that replay, for tests of what stands between them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

from sandbox_interpreter.config import Settings
from sandbox_interpreter.messages import ACTIVE_LINE, CONSOLE, Blocks, Chunk, Message
from sandbox_interpreter.models.base import Answer, CodeDelta, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.notices import Notices
from sandbox_interpreter.sandbox.outputs import ExecResult
from sandbox_interpreter.sessions.journal import Journal


def block(code: str, language: str = "python") -> list[ModelEvent]:
    """Return the events of one code block, in two pieces."""
    half = len(code) // 2
    return [CodeDelta(language, code[:half]), CodeDelta(language, code[half:]), CodeEnd()]


def text(words: str) -> list[ModelEvent]:
    """Return the events of some prose, in two pieces."""
    half = len(words) // 2
    return [TextDelta(words[:half]), TextDelta(words[half:])]


@dataclass
class ReplayModel:
    """Answers with the next of ``answers``; an exception among the events is raised. ``asked`` holds what it saw."""

    answers: list[Sequence[ModelEvent | BaseException]]
    asked: list[list[Message]] = field(default_factory=list)
    systems: list[str] = field(default_factory=list)
    hung_up: int = 0

    def stream(self, messages: Sequence[Message], *, system: str) -> Answer:
        """Yield the next answer."""
        self.asked.append(copy.deepcopy(list(messages)))
        self.systems.append(system)
        try:
            for event in self.answers[len(self.asked) - 1]:
                if isinstance(event, BaseException):
                    raise event
                yield event
        except GeneratorExit:
            self.hung_up += 1
            raise


@dataclass
class ReplayRunner:
    """Answers code with what ``respond`` makes of it: pieces of output, then an exit code. ``ran`` holds the code."""

    respond: Callable[[str], tuple[list[str], int]] = lambda code: ([f"ran {code}\n"], 0)
    ran: list[tuple[str, str]] = field(default_factory=list)
    interrupted: int = 0

    def run(self, language: str, code: str) -> Generator[Chunk, None, ExecResult]:
        """Yield the output, line by line active."""
        self.ran.append((language, code))
        pieces, exit_code = self.respond(code)
        try:
            yield from self._chunks(pieces)
        except GeneratorExit:
            self.interrupted += 1
            raise
        return ExecResult(exit_code, 1.0)

    def _chunks(self, pieces: list[str]) -> Iterator[Chunk]:
        blocks = Blocks()
        for line, piece in enumerate(pieces, 1):
            yield from blocks.write(CONSOLE, piece)
            yield ACTIVE_LINE.chunk(content=line)
        yield from blocks.close()


class ReplayBench(ReplayRunner):
    """Stands for a workbench whose sandbox is a ReplayRunner; counts what was asked of it."""

    def __init__(self, respond: Callable[[str], tuple[list[str], int]] | None = None) -> None:
        super().__init__(respond or (lambda code: ([f"ran {code}\n"], 0)))
        self.notices = Notices()
        self.journal = Journal(Settings(), notify=self.notices)
        self.prepared = self.resets = self.closed = 0

    def prepare(self) -> None:
        """Count the call."""
        self.prepared += 1

    def reset(self) -> None:
        """Count the call."""
        self.resets += 1

    def close(self) -> None:
        """Count the call."""
        self.closed += 1

    def interrupt(self) -> bool:
        """Say that nothing runs."""
        return False
