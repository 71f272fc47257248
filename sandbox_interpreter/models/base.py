"""What a conversation asks of a language model: one method, ``stream``, and the closed union of events it yields.

An answer is prose and code blocks in the order in which the model wrote them. A block's pieces come as they are
written; its ``CodeEnd`` comes when nothing more of the answer needs the connection, so whoever listens may run the
block there and then, however long that takes, before asking for the next event.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.facts import Price


@dataclass(frozen=True)
class TextDelta:
    """A piece of prose."""

    text: str


@dataclass(frozen=True)
class CodeDelta:
    """A piece of a code block; the first one opens the block. ``language`` is as the model named it."""

    language: str
    code: str


@dataclass(frozen=True)
class CodeEnd:
    """The open code block is whole and may run."""


@dataclass(frozen=True)
class BrokenOff:
    """The answer broke off here, because of ``reason`` (a sentence). An open code block is not whole: never run it.

    ``again``: the model was asked anew, and what follows is its answer from the beginning.
    """

    reason: str
    again: bool


ModelEvent = TextDelta | CodeDelta | CodeEnd | BrokenOff
Answer = Generator[ModelEvent, None, None]
"""One answer on its way; closing it hangs up."""


class Model(Protocol):
    """Answers a conversation."""

    def stream(self, messages: Sequence[Message], *, system: str) -> Answer:
        """Yield the next answer as it is written.

        Raises ModelNotConfigured when no call can succeed, ModelUnavailable when this one did not.
        """


@runtime_checkable
class Preparable(Protocol):
    """A model that answers sooner when it was told beforehand."""

    def prepare(self, messages: Sequence[Message] = ()) -> None:
        """Begin, in the background, what the next call, or a count of ``messages``, would wait for. Returns at once."""


@runtime_checkable
class Measuring(Protocol):
    """A model that knows what a request would take."""

    @property
    def price(self) -> Price | None:
        """Return what its tokens cost; None where that is not known."""

    def measure(self, messages: Sequence[Message], *, system: str) -> int:
        """Return the tokens of the next request: exactly, as far as that can be known at once."""


@runtime_checkable
class Seeing(Protocol):
    """A model that may be able to look at pictures."""

    def sees(self) -> bool:
        """Tell whether it does."""
