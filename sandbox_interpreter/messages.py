"""Messages, and the chunks that they arrive in.

A *message* is one finished entry of a conversation; a *chunk* is a piece of one on its way. Both are plain
JSON-shaped dicts (the LMC shape of Open Interpreter 0.2 and later), so that a caller can print, store or send
them without conversion. A block of chunks opens with ``start: True`` and closes with ``end: True``, each exactly
once and with no other block between; ``Blocks`` is the one place that holds this rule.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import field
from typing import Any, Literal, NotRequired, TypedDict, cast, get_args

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.findings import Scan
from sandbox_interpreter.frozen import frozen

Role = Literal["system", "user", "assistant", "computer"]
Kind = Literal["message", "code", "console", "image", "confirmation"]


class Message(TypedDict):
    """One finished entry of a conversation. ``content`` of an image is base64 text."""

    role: Role
    type: Kind
    format: NotRequired[str]
    content: str


class Chunk(TypedDict):
    """A piece of a message on its way.

    ``content`` is a str in every stored block, an int (1-based) or None for an active line, and a code
    dict (type, format, content) in a confirmation.
    """

    role: Role
    type: Kind
    format: NotRequired[str]
    content: NotRequired[Any]
    start: NotRequired[bool]
    end: NotRequired[bool]


@frozen
class CodeBlock:
    """Code that a model wants to run, whole: the language as the model named it, and the source.

    ``scan`` is what was found in it, where it was scanned; ``scanner`` scans it, where that is for the asker to offer.
    """

    language: str
    code: str
    scan: Scan | None = field(default=None, compare=False)
    scanner: Callable[[], Scan] | None = field(default=None, compare=False, repr=False)


@frozen
class Head:
    """What makes two chunks part of one block: role, type and format."""

    role: Role
    type: Kind
    format: str | None = None

    def chunk(self, **extra: Any) -> Chunk:
        """Return a chunk of this block, with ``content``, ``start`` or ``end`` as given."""
        chunk: Chunk = {"role": self.role, "type": self.type}
        if self.format is not None:
            chunk["format"] = self.format
        chunk.update(extra)  # type: ignore[typeddict-item]  # the three keys above are the only callers' keys
        return chunk

    def message(self, content: str) -> Message:
        """Return the finished message that this block's chunks add up to."""
        message: Message = {"role": self.role, "type": self.type, "content": content}
        if self.format is not None:
            message["format"] = self.format
        return message


PROSE = Head("assistant", "message")
NOTICE = Head("computer", "message")
"""What the program itself has to say to the user, and to the model when it is asked again."""
CONSOLE = Head("computer", "console", "output")
CONFIRMATION = Head("computer", "confirmation", "execution")
ACTIVE_LINE = Head("computer", "console", "active_line")


def code_head(language: str) -> Head:
    """Return the head of a code block in ``language``."""
    return Head("assistant", "code", language)


def picture_kind(mime: str) -> str:
    """Return what a picture of type ``mime`` is called, also as a file's suffix: ``png`` for ``image/png``."""
    return mime.partition("/")[2].partition("+")[0]


def image_head(mime: str) -> Head:
    """Return the head of a picture; ``mime`` like ``image/png`` becomes format ``base64.png``."""
    return Head("computer", "image", "base64." + picture_kind(mime))


def is_stored(chunk: Chunk) -> bool:
    """Tell whether a chunk belongs to a stored message (confirmations and active lines do not)."""
    return chunk["type"] != "confirmation" and chunk.get("format") != "active_line"


class Blocks:
    """Turns (head, content) pieces into chunks whose blocks open and close exactly once, in order."""

    def __init__(self) -> None:
        self._open: Head | None = None

    def open(self, head: Head) -> Iterator[Chunk]:
        """Begin the block of ``head``, closing another one that is open; nothing if it is open already."""
        if self._open != head:
            yield from self.close()
            self._open = head
            yield head.chunk(start=True)

    def write(self, head: Head, content: str) -> Iterator[Chunk]:
        """Add ``content`` to the block of ``head``, opening it if need be."""
        yield from self.open(head)
        if content:
            yield head.chunk(content=content)

    def close(self) -> Iterator[Chunk]:
        """End the open block, if any."""
        if self._open is not None:
            head, self._open = self._open, None
            yield head.chunk(end=True)


class Transcript:
    """Folds chunks into messages, appending each to ``messages`` when its block opens.

    The message grows in place, so that a stream that is abandoned half-way has lost nothing.
    """

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages

    def add(self, chunk: Chunk) -> None:
        """Take one chunk; chunks that are not stored are passed over."""
        if not is_stored(chunk):
            return
        if chunk.get("start"):
            self.messages.append(Head(chunk["role"], chunk["type"], chunk.get("format")).message(""))
        if "content" in chunk:
            _extend(self.messages[-1], chunk["content"])


def _extend(message: Message, text: str) -> None:
    """Add ``text`` to the content, in time that does not grow with it.

    A text that nothing else refers to grows in place; while the message refers to it, each addition copies all of
    it, which makes half a minute of 40 MB of output.
    """
    content = message["content"]
    try:
        message["content"] = ""
        content += text
    finally:
        message["content"] = content


def outputs_of_last_code(messages: Sequence[Message]) -> list[Message]:
    """Return what stands of the computer's behind the last code: its console text, and its pictures."""
    outputs: list[Message] = []
    for message in reversed(messages):
        if message["type"] == "code":
            break
        if message["type"] in ("console", "image") and message["role"] == "computer":
            outputs.insert(0, message)
    return outputs


def fold(chunks: Iterable[Chunk]) -> list[Message]:
    """Return the messages that ``chunks`` add up to."""
    transcript = Transcript([])
    for chunk in chunks:
        transcript.add(chunk)
    return transcript.messages


def transcribed(chunks: Generator[Chunk, None, None], messages: list[Message]) -> Generator[Chunk, None, None]:
    """Yield ``chunks``, each of which is in ``messages`` by then; closing this closes them."""
    transcript = Transcript(messages)
    with closing(chunks):
        for chunk in chunks:
            transcript.add(chunk)
            yield chunk


_DEFAULTS = {"role": "user", "type": "message"}
_EXAMPLE = 'For example: {"role": "user", "content": "Plot the rainfall."}'
_CHOICES = {"role": get_args(Role), "type": ("message", "code", "console", "image")}


def as_message(value: Mapping[str, Any]) -> Message:
    """Return ``value`` as a message of its own; one that names no role is the user's, without a type it is prose.

    Raises UsageError that says what is wrong with it.
    """
    if not isinstance(value, Mapping):
        raise UsageError(f"A message is a dict, not {value!r:.50}.", next_step=_EXAMPLE)
    message = {**_DEFAULTS, **value}
    for key, choices in _CHOICES.items():
        if message[key] not in choices:
            raise UsageError(f"A message cannot have the {key} {message[key]!r}.",
                             next_step=f"It is one of: {', '.join(choices)}.")
    if not isinstance(message.get("content"), str) or not isinstance(message.get("format", ""), str):
        raise UsageError("A message's content and format are texts.",
                         next_step=_EXAMPLE)
    return cast(Message, message)


def as_messages(values: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Return each of ``values`` as a message of its own. Raises UsageError that says what is wrong with one."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise UsageError(f"Messages are a list of dicts, not {values!r:.50}.", next_step=_EXAMPLE)
    return [as_message(value) for value in values]


def complete(history: list[Message]) -> None:
    """Give what a program has put into ``history`` by hand the role and type that it left out. Raises UsageError."""
    for at, message in enumerate(history):
        if {"role", "type", "content"} - set(message):
            history[at] = as_message(message)
