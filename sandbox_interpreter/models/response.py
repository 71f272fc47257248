"""One response of litellm's, read into events, and the connection that it comes over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sandbox_interpreter.models import failures
from sandbox_interpreter.models.answer import AnswerReader, CallDelta
from sandbox_interpreter.models.base import ModelEvent
from sandbox_interpreter.models.meter import Meter

_CUT_OFF = {
    "length": "The answer reached its limit of tokens.",
    "content_filter": "The provider's content filter ended the answer.",
}
"""Finish reasons of an answer that is not whole."""
MOST_CHARACTERS = 4 * 1024 * 1024
"""Characters of one answer: several times what the longest-winded models can write. A server could send for ever."""
_ENDLESS = "The answer grew beyond 4 MiB, and was cut off."


def events(response: Any, reader: AnswerReader, meter: Meter) -> Iterator[ModelEvent]:
    """Yield the events of a response; ``meter`` sees what it takes. Raises AnswerCutOff, and what litellm raises."""
    finish = ""
    for chunk in response:
        meter.usage = getattr(chunk, "usage", None) or meter.usage
        for choice in chunk.choices[:1]:
            yield from _delta(choice.delta, reader, meter)
            finish = choice.finish_reason or finish
        if meter.size > MOST_CHARACTERS:
            hang_up(response)
            yield from reader.finish(cut_off=_ENDLESS)
            return
        if reader.done:
            hang_up(response)
            yield from reader.finish()
            return
    # litellm makes up a finish reason where the server sent none; these two say whether one came.
    told = getattr(response, "received_finish_reason", finish) or getattr(response, "intermittent_finish_reason", None)
    if not told and not reader.whole:
        raise failures.AnswerCutOff("the answer ended early") if reader.begun else failures.NothingCame("nothing came")
    yield from reader.finish(cut_off=_CUT_OFF.get(finish, ""))


def _delta(delta: Any, reader: AnswerReader, meter: Meter) -> Iterator[ModelEvent]:
    if delta.content:
        meter.note(delta.content)
        yield from reader.text(delta.content)
    for call in delta.tool_calls or ():
        meter.note(call.function.arguments or "")
        yield from reader.call(CallDelta(call.index or 0, call.id or "", call.function.name or "",
                                         call.function.arguments or ""))


def hang_up(response: Any) -> None:
    """Close the connection, wherever the provider's stream keeps it; harmless when repeated."""
    stream = getattr(response, "completion_stream", None)
    for owner in (stream, getattr(stream, "response", None), getattr(stream, "streaming_response", None)):
        if close := getattr(owner, "close", None):
            with contextlib.suppress(Exception):  # nothing is lost by a connection that closes badly
                close()
