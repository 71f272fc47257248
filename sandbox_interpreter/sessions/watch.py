"""A turn of the conversation, written down while it passes by: its chunks, and the answers of whoever approves."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from sandbox_interpreter.approval import Approval, Approve, Approver, as_approval
from sandbox_interpreter.messages import Chunk, CodeBlock, Message, is_stored
from sandbox_interpreter.sessions.draft import Draft
from sandbox_interpreter.sessions.history import facts_of
from sandbox_interpreter.sessions.journal import Journal


def watch(journal: Journal, chunks: Generator[Chunk, None, None],
          messages: Sequence[Message]) -> Generator[Chunk, None, None]:
    """Yield ``chunks``, writing each message once it is whole in ``messages``, and what ended the turn early.

    Closing this closes ``chunks``. Raises what they raise.
    """
    journal.sync(messages)
    try:
        yield from _drafted(journal, chunks, messages)
    except Exception as error:
        journal.note("error", error=type(error).__name__, text=str(error))
        raise
    except BaseException:  # whoever listened has left, or pressed Ctrl-C: what there is was worth a look
        journal.worth_keeping = True
        raise
    else:
        journal.worth_keeping = True
    finally:
        chunks.close()
        journal.add(messages)


def _drafted(journal: Journal, chunks: Iterator[Chunk], messages: Sequence[Message]) -> Iterator[Chunk]:
    draft: Draft | None = None
    try:
        for chunk in chunks:
            if is_stored(chunk):
                draft = _take(journal, chunk, draft, messages)
            yield chunk
    finally:
        if draft:
            draft.end()


def _take(journal: Journal, chunk: Chunk, draft: Draft | None, messages: Sequence[Message]) -> Draft | None:
    """Return the draft of the message that is open behind ``chunk``, if any."""
    if chunk.get("start"):
        draft = Draft(facts_of(chunk), journal.redactor, lambda facts: journal.note("partial", **facts))
    if draft and chunk.get("content"):
        draft.add(str(chunk["content"]))
    if draft and chunk.get("end"):
        draft.end()
        journal.add(messages)
        return None
    return draft


def witness(journal: Journal, approve: Approver | None) -> Approve | None:
    """Return ``approve`` so that its answers are checked and written; None where there is nobody to ask."""
    if approve is None:
        return None

    def ask(block: CodeBlock) -> Approval:
        answer = Approval(run=False)  # what Ctrl-C means
        try:
            answer = as_approval(approve(block))
        finally:
            edited = answer.code is not None and answer.code != block.code
            journal.note("approval", language=block.language, run=answer.run, edited=edited)
        return answer

    return ask
