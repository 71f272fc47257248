"""The conversation of a task with a prompt, which nobody watches; and the outputs of runs as messages and text."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox_interpreter import languages
from sandbox_interpreter.approval import Approval
from sandbox_interpreter.config import Settings
from sandbox_interpreter.conversation import Conversation
from sandbox_interpreter.messages import Chunk, CodeBlock, Message, Transcript, as_message, code_head
from sandbox_interpreter.models.base import Model
from sandbox_interpreter.prompts import system_prompt
from sandbox_interpreter.sandbox.chunks import chunks_of
from sandbox_interpreter.sandbox.outputs import ExecResult
from sandbox_interpreter.tasks.place import Box
from sandbox_interpreter.tasks.record import Task

if TYPE_CHECKING:
    from sandbox_interpreter.tasks.attempt import Log


@dataclass(frozen=True)
class Runner:
    """Runs a conversation's code. ``look`` is called before each run, and raises if there is to be none."""

    box: Box
    log: Log
    look: Callable[[], None]

    def run(self, language: str, code: str) -> Generator[Chunk, None, ExecResult]:
        """Yield the output of ``code`` as it comes, and return how the run ended."""
        self.look()
        execution = self.box.execute(language, code)
        yield from chunks_of(execution)
        self.log.note("run", language=language, code=code, **vars(execution.result))
        return execution.result


def converse(task: Task, settings: Settings, model: Model, runner: Runner, messages: list[Message], log: Log) -> None:
    """Put the prompt to the model and run its code until it has nothing more to run; all of it is in ``messages``.

    Raises ModelError, EngineError, and what the runner's ``look`` raises.
    """
    messages.append(as_message({"content": task.prompt}))
    system = system_prompt(settings)
    if task.languages:
        system += f"\n\nWrite code in nothing but: {', '.join(task.languages)}."
    conversation = Conversation(messages, model, runner, system=system, auto_run=not task.languages,
                                approve=lambda block: Approval(run=_is_among(block, task.languages)))
    log.sync(messages)
    try:
        with closing(conversation.respond()) as chunks:
            for chunk in chunks:
                runner.look()
                if chunk.get("end"):
                    log.sync(messages)
    finally:
        log.sync(messages)


def _is_among(block: CodeBlock, names: Sequence[str]) -> bool:
    return languages.find(block.language).name in names


def take(chunks: Iterable[Chunk], messages: list[Message], language: str, code: str) -> None:
    """Put a program and its outputs behind ``messages``."""
    messages.append(code_head(language).message(code))
    transcript = Transcript(messages)
    for chunk in chunks:
        transcript.add(chunk)


def printed(messages: Iterable[Message]) -> str:
    """Return what runs have printed."""
    return "".join(message["content"] for message in messages if message["type"] == "console")


def as_text(messages: Sequence[Message]) -> str:
    """Return a conversation as plain text: what was said, and what was printed; code where a model wrote it."""
    if messages and messages[0]["type"] == "code":
        return printed(messages)
    return "\n\n".join(message["content"].strip("\n") for message in messages
                       if message["type"] != "image" and message["content"].strip())
