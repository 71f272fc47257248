"""One streamed answer, read piece by piece into events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox_interpreter.models.base import BrokenOff, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.markdown import FenceParser
from sandbox_interpreter.models.tool_calls import ToolCall


@dataclass(frozen=True)
class CallDelta:
    """A piece of a tool call. Servers send ``id`` and ``name`` with the first piece, and some with every piece."""

    index: int
    id: str
    name: str
    arguments: str


class AnswerReader:
    """Feed it text and pieces of calls; it yields events. ``finish`` ends the answer.

    The first block streams as it is written. Its end, and all that the answer holds behind it, is yielded by
    ``finish``: the connection is not needed any more by then, so the block may run for as long as it likes.

    With ``fences``, prose is searched for fenced blocks, and the answer is ``done`` behind the first one: what such a
    model writes there it wrote without having seen the block's output, and often it is an invented output.
    """

    def __init__(self, *, fences: bool) -> None:
        self._fences = FenceParser() if fences else None
        self._call: ToolCall | None = None
        self._call_key = (0, "")
        self._late: list[ModelEvent] | None = None  # what stands behind the first block
        self.begun = False
        self.done = False

    @property
    def whole(self) -> bool:
        """Tell whether the answer could end here: something came, and no block of it is half written."""
        if self._call:
            return self._call.whole
        return self.begun and not (self._fences and self._fences.in_block)

    def text(self, text: str) -> Iterator[ModelEvent]:
        """Yield what a piece of prose brings."""
        self.begun = True
        if self._call or self._late is not None:
            self._end_call()
            yield from self._in_turn([TextDelta(text)])
        elif self._fences:
            yield from self._until_block_ends(self._fences.feed(text))
        else:
            yield TextDelta(text)

    def call(self, delta: CallDelta) -> Iterator[ModelEvent]:
        """Yield what a piece of a tool call brings."""
        self.begun = True
        if self._fences and not self._call and self._late is None:
            yield from self._until_block_ends(self._fences.finish())
        if self.done:
            return
        index, identity = self._call_key
        if self._call and (delta.index != index or (delta.id and delta.id != identity)):
            self._end_call()
        if self._call is None:
            self._call, self._call_key = ToolCall(delta.name), (delta.index, delta.id)
        yield from self._in_turn(self._call.feed(delta.arguments))

    def finish(self, *, cut_off: str = "") -> Iterator[ModelEvent]:
        """Yield the rest. ``cut_off`` says why the answer is not whole, if it is not; its open block never ends."""
        yield from self._late or ()
        if self.done:
            yield CodeEnd()
            return
        events: list[ModelEvent] = []
        if self._call:
            events = [*self._call.finish(), CodeEnd()]
        elif self._fences and self._late is None:
            events = [*self._fences.finish()]
        if cut_off:
            events = [*(event for event in events if not isinstance(event, CodeEnd)), BrokenOff(cut_off, again=False)]
        yield from events

    def _until_block_ends(self, events: Iterable[ModelEvent]) -> Iterator[ModelEvent]:
        for event in events:
            if isinstance(event, CodeEnd):
                self.done = True
                return
            yield event

    def _end_call(self) -> None:
        """Put the end of the current call in line: something else has begun, so it is whole."""
        if self._call:
            self._late = [*(self._late or ()), *self._call.finish(), CodeEnd()]
            self._call = None

    def _in_turn(self, events: Iterable[ModelEvent]) -> Iterator[ModelEvent]:
        if self._late is None:
            yield from events
        else:
            self._late.extend(events)
