"""Outputs of a run as the chunks of messages.py: one console block, interrupted by pictures."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Protocol

from sandbox_interpreter.messages import ACTIVE_LINE, CONSOLE, Blocks, Chunk, Head, Message, image_head, is_stored
from sandbox_interpreter.sandbox.outputs import ActiveLine, Display, ExecResult, Failure, Output, Stream, StreamName

# The first of these that a display offers is shown; anything else is shown by its plain text.
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")


class Run(Protocol):
    """A run of code, on whatever machine: what ``Execution`` says of these holds."""

    @property
    def result(self) -> ExecResult:
        """Return how it ended."""

    def __iter__(self) -> Iterator[Output]:
        """Return the one iterator over its outputs."""

    def close(self) -> None:
        """Abandon it."""


def chunks_of(execution: Run) -> Generator[Chunk, None, None]:
    """Yield a run's outputs as chunks; closing the iterator abandons the run."""
    with closing(execution):
        translator = _Translator()
        yield from translator.blocks.open(CONSOLE)
        for output in execution:
            yield from translator.chunks(output)
        yield from translator.end(execution.result)


def unseen(chunks: Iterator[Chunk], seen: Sequence[Message]) -> Iterator[Chunk]:
    """Yield of a run that is taken up again what comes behind ``seen``, its output as the conversation has it already.

    An agent says again what no client has confirmed, which is all of an output that is shorter than a mebibyte. One
    that does not begin like ``seen``, such as a longer one, is yielded whole: better twice than not at all.
    """
    known = "".join(message["content"] for message in seen if message["type"] == "console")
    pictures = {message["content"] for message in seen if message["type"] == "image"}
    said = ""
    for chunk in chunks if seen else ():
        if not is_stored(chunk):
            yield chunk
        elif (content := chunk.get("content")) and content not in pictures:
            if chunk["type"] == "console" and known.startswith(said := said + content):
                continue
            rest = said.removeprefix(known) if chunk["type"] == "console" else content
            yield from Blocks().write(Head(chunk["role"], chunk["type"], chunk.get("format")), rest)
            break
    yield from chunks


def as_streams(output: Output, take_picture: Callable[[str, bytes], object]) -> Iterator[tuple[StreamName, bytes]]:
    """Yield what of an output belongs on stdout and on stderr; a picture goes to ``take_picture``, its type first."""
    match output:
        case Stream(name, data):
            yield name, data
        case Failure():
            yield "stderr", output.traceback.encode()
        case Display(data):
            drawn = next((mime for mime in PICTURES if mime in data), None)
            if drawn:
                take_picture(drawn, data[drawn])
            elif text := data.get("text/plain"):
                yield "stdout", text + b"\n"


class _Translator:
    def __init__(self) -> None:
        self.blocks = Blocks()
        # A character may be split between two reads; each stream keeps its own half.
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"stdout": make("replace"), "stderr": make("replace")}

    def chunks(self, output: Output) -> Iterator[Chunk]:
        match output:
            case Stream(name, data):
                yield from self._text(self._decoders[name].decode(data))
            case Failure():
                yield from self._text(output.traceback)
            case Display(data):
                yield from self._display(data)
            case ActiveLine(line):
                yield ACTIVE_LINE.chunk(content=line)

    def end(self, result: ExecResult) -> Iterator[Chunk]:
        for decoder in self._decoders.values():
            yield from self._text(decoder.decode(b"", final=True))
        if note := _note(result):
            yield from self._text(note)
        yield from self.blocks.close()

    def _text(self, text: str) -> Iterator[Chunk]:
        if text:
            yield from self.blocks.write(CONSOLE, text)

    def _display(self, data: Mapping[str, bytes]) -> Iterator[Chunk]:
        for mime in PICTURES:
            if mime in data:
                yield from self.blocks.close()
                yield from self.blocks.write(image_head(mime), base64.b64encode(data[mime]).decode("ascii"))
                yield from self.blocks.close()
                return
        text = data.get("text/plain") or next((data[mime] for mime in data if mime.startswith("text/")), b"")
        yield from self._text(text.decode("utf-8", "replace") + "\n")


_NOTES = {
    "time": "[stopped: the time limit was reached]",
    "memory": "[stopped: the sandbox's memory is used up]",
    "pids": "[the sandbox's limit of processes and threads was reached]",
    "output": "[stopped: the limit of output was reached]",
    "disk": "[no space is left in the sandbox]",
}


def _note(result: ExecResult) -> str:
    return _NOTES[result.limit] + "\n" if result.limit else ""
