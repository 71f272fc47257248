"""The turn loop: query the model, ask for approval, execute, observe; until the model has nothing more to run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from sandbox_interpreter import languages
from sandbox_interpreter.approval import Approval, Approve
from sandbox_interpreter.errors import SandboxInterpreterError, UnknownLanguage
from sandbox_interpreter.messages import (
    CONFIRMATION,
    CONSOLE,
    NOTICE,
    PROSE,
    Blocks,
    Chunk,
    CodeBlock,
    Head,
    Message,
    Transcript,
    code_head,
)
from sandbox_interpreter.models.base import BrokenOff, CodeDelta, CodeEnd, Model, TextDelta
from sandbox_interpreter.sandbox.outputs import ExecResult

PATIENCE = 3
"""So often may the same block fail, or any blocks in a row not be run, before the loop stops."""

_NOBODY = "this code needs approval and there is nobody to ask; to run code without asking, set auto_run"


class Runner(Protocol):
    """What the loop asks of a sandbox."""

    def run(self, language: str, code: str) -> Generator[Chunk, None, ExecResult]:
        """Yield the output of ``code`` as it comes, and return how the run ended; closing it interrupts the run."""


@dataclass
class Conversation:
    """Messages, the model that answers them, and the sandbox that its code runs in.

    ``approve`` is asked before each run; None means that there is nobody to ask, and then nothing runs, unless
    ``auto_run`` says that nobody need be asked. ``inspect`` returns a block as it is put to them: scanned, say.
    """

    messages: list[Message]
    model: Model
    runner: Runner
    system: str = ""
    approve: Approve | None = None
    auto_run: bool = False
    inspect: Callable[[CodeBlock], CodeBlock] = lambda block: block

    @property
    def may_run(self) -> bool:
        """Tell whether any code can come to run."""
        return self.auto_run or self.approve is not None

    def respond(self) -> Generator[Chunk, None, None]:
        """Yield an answer to the newest message, the runs in it, and their output.

        Each chunk is in ``messages`` by the time that it is yielded, so an answer that is abandoned or ends with an
        error has lost nothing. Raises ModelError, and what the runner raises.
        """
        transcript = Transcript(self.messages)
        head: Head | None = None  # of the open block
        try:
            with closing(_Turn(self).chunks()) as chunks:
                for chunk in chunks:
                    transcript.add(chunk)
                    if chunk.get("start") or chunk.get("end"):
                        head = _head(chunk) if chunk.get("start") else None
                    yield chunk
        except SandboxInterpreterError:
            if head:
                yield head.chunk(end=True)
            raise


class _Turn:
    """One answer to the user, over as many questions to the model as it takes."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._blocks = Blocks()
        self._answered = False  # whether the model said anything at all
        self._unseen = False  # whether there is an output that the model has not seen
        self._stopped = ""  # why the loop ends although there is
        self._failures = _Failures()

    def chunks(self) -> Generator[Chunk, None, None]:
        while True:
            self._unseen = False
            yield from self._answer()
            if not self._answered:  # an empty answer behind a run is how some models end; else it looks like a fault
                yield from self._say(NOTICE, "The model answered nothing.")
            if self._stopped:
                yield from self._say(NOTICE, self._stopped)
            if self._stopped or not self._unseen:
                return

    def _answer(self) -> Iterator[Chunk]:
        conversation = self._conversation
        block: CodeBlock | None = None  # the one that is being written
        with closing(conversation.model.stream(conversation.messages, system=conversation.system)) as events:
            for event in events:
                self._answered = True
                match event:
                    case TextDelta(text):
                        yield from self._blocks.write(PROSE, text)
                    case CodeDelta(language, code):
                        block = CodeBlock(_known_name(language), block.code + code if block else code)
                        yield from self._blocks.write(code_head(block.language), code)
                    case CodeEnd() if block:
                        yield from self._blocks.close()
                        yield from self._observe(block)
                        block = None
                    case BrokenOff(reason, again):
                        yield from self._break_off(block, reason, again=again)
                        block = None
        yield from self._blocks.close()

    def _observe(self, block: CodeBlock) -> Iterator[Chunk]:
        """Run a block, unless something speaks against it; either way, an output stands behind it."""
        reason = _unfit(block)
        if not reason and not self._conversation.auto_run:
            code: Message = code_head(block.language).message(block.code)
            yield CONFIRMATION.chunk(content={key: code[key] for key in ("type", "format", "content")})
            approval = self._ask(block)
            reason = _refusal(approval)
            if not reason and approval and approval.code is not None and approval.code != block.code:
                yield from self._say(CONSOLE, "[not run: the user changed it, to what follows]\n")
                block = CodeBlock(block.language, approval.code)
                yield from self._say(Head("user", "code", block.language), block.code)
        if reason:
            yield from self._refuse(block, reason)
        else:
            yield from self._execute(block)

    def _ask(self, block: CodeBlock) -> Approval | None:
        """Return what whoever approves says; None where there is nobody."""
        if self._conversation.approve is None:
            return None
        try:
            return self._approved(block, self._conversation.approve)
        except (KeyboardInterrupt, EOFError):
            self._stopped = "Stopped at the question."
            return Approval(run=False)

    def _approved(self, block: CodeBlock, approve: Approve) -> Approval:
        """Return the answer on a block. Code that they change is inspected, too, and asked about if need be."""
        put = self._conversation.inspect(block)
        answer = approve(put)
        while answer.run and answer.code is not None and answer.code != put.code:
            put = self._conversation.inspect(CodeBlock(block.language, answer.code))
            if put.scan is None or put.scan.clean:
                break
            again = approve(put)
            answer = Approval(again.run, put.code if again.code is None else again.code)
        return answer

    def _refuse(self, block: CodeBlock, reason: str) -> Iterator[Chunk]:
        """Leave a block unrun, and tell the user and the model why."""
        self._unseen = True
        yield from self._say(CONSOLE, f"[not run: {reason}]\n")
        self._stopped = self._stopped or self._failures.not_run(block)

    def _execute(self, block: CodeBlock) -> Iterator[Chunk]:
        self._unseen = True
        messages = self._conversation.messages
        before = len(messages)
        result = yield from self._conversation.runner.run(block.language, block.code)
        if len(messages) == before:  # a run that says nothing has an output too: an empty one
            yield from self._say(CONSOLE, "")
        self._stopped = self._stopped or self._failures.ran(block, failed=result.exit_code != 0)

    def _break_off(self, block: CodeBlock | None, reason: str, *, again: bool) -> Iterator[Chunk]:
        """Say that the answer broke off; a block that it was writing is not run."""
        yield from self._blocks.close()
        if block:
            yield from self._refuse(block, f"it is not whole. {reason}")
            self._unseen = not again  # the model that begins again is in the middle of answering
        else:
            yield from self._say(NOTICE, reason)

    def _say(self, head: Head, text: str) -> Iterator[Chunk]:
        """Yield a whole block at once."""
        yield from self._blocks.write(head, text)
        yield from self._blocks.close()


@dataclass
class _Failures:
    """Tells when a model goes in circles; each method returns why the loop should stop, or nothing."""

    last: CodeBlock | None = None
    times: int = 0
    unrun: int = 0

    def ran(self, block: CodeBlock, *, failed: bool) -> str:
        self.unrun = 0
        return self._count(block) if failed else self._forget()

    def not_run(self, block: CodeBlock) -> str:
        self.unrun += 1
        if self.unrun == PATIENCE:
            return f"Stopped: {PATIENCE} blocks in a row were not run."
        return self._count(block)

    def _count(self, block: CodeBlock) -> str:
        self.times = self.times + 1 if block == self.last else 1
        self.last = block
        return f"Stopped: the same block failed {PATIENCE} times in a row." if self.times == PATIENCE else ""

    def _forget(self) -> str:
        self.last, self.times = None, 0
        return ""


def _refusal(approval: Approval | None) -> str:
    """Return why a block is not run after all, or nothing."""
    if approval is None:
        return _NOBODY
    return "" if approval.run else "the user declined it"


def _unfit(block: CodeBlock) -> str:
    """Return why a block cannot be run by anybody, or nothing."""
    if not block.code.strip():
        return "the block is empty"
    try:
        languages.find(block.language)
    except UnknownLanguage as error:
        return error.report().replace("\n", " ")
    return ""


def _known_name(language: str) -> str:
    """Return our name for a language: python for py; one that we do not know as the model wrote it."""
    try:
        return languages.find(language).name
    except UnknownLanguage:
        return language


def _head(chunk: Chunk) -> Head:
    return Head(chunk["role"], chunk["type"], chunk.get("format"))
