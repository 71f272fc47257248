"""Where a run's outputs go: bytes to a pipe as they are, to a terminal as safe text, or chunks as JSON lines."""

from __future__ import annotations

import base64
import json
import os
import select
from typing import Any, Protocol

from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.messages import picture_kind
from sandbox_interpreter.sandbox.chunks import as_streams, chunks_of
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.inbox import SHOWN_WINDOW, WINDOW
from sandbox_interpreter.terminal.escape import Filter, utf8_decoder


class PictureSink(Protocol):
    """What takes the pictures that code draws."""

    def save(self, kind: str, data: bytes) -> None:
        """Keep one picture; ``kind`` is its MIME subtype, such as png."""


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, as fast as the reader takes it.

    Raises BrokenPipeError when the reader has left, TransferError for a full disk.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view):]
        except BlockingIOError:  # the descriptor is shared with someone who made it non-blocking
            select.select([], [descriptor], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise TransferError(f"The program's output could not be written: {error.strerror}.",
                                next_step="Free some space, or send it elsewhere.") from None


def window() -> int:
    """Return how many bytes of a run's output may come ahead of what this process writes."""
    return SHOWN_WINDOW if os.isatty(1) or os.isatty(2) else WINDOW


class Sink:
    """One of the program's two streams on its way to a descriptor of ours."""

    def __init__(self, descriptor: int, *, colour: bool = True) -> None:
        self._descriptor = descriptor
        self._filter = Filter(colour=colour) if os.isatty(descriptor) else None
        self._decoder = utf8_decoder()

    def write(self, data: bytes) -> None:
        """Pass bytes on: untouched, or, to a terminal, with all but colour and style shown instead of obeyed."""
        if self._filter is not None:
            data = self._filter.feed(self._decoder.decode(data)).encode()
        write_all(self._descriptor, data)

    def close(self) -> None:
        """Pass on what was held back."""
        if self._filter is not None:
            rest = self._filter.feed(self._decoder.decode(b"", final=True)) + self._filter.close()
            write_all(self._descriptor, rest.encode())


def relay_streams(execution: Execution, pictures: PictureSink, *, colour: bool = True) -> None:
    """Pass a run's outputs to stdout and stderr until it ends. ``colour``: terminals may have the program's styles."""
    sinks = {"stdout": Sink(1, colour=colour), "stderr": Sink(2, colour=colour)}
    for output in execution:
        for name, data in as_streams(output, lambda mime, data: pictures.save(picture_kind(mime), data)):
            sinks[name].write(data)
    for sink in sinks.values():
        sink.close()


def relay_json(execution: Execution, pictures: PictureSink) -> None:
    """Print a run's outputs as chunks of messages.py, one JSON object a line, until it ends."""
    chunks = chunks_of(execution)
    try:
        for chunk in chunks:
            if chunk["type"] == "image" and "content" in chunk:
                pictures.save(chunk["format"].removeprefix("base64."), base64.b64decode(chunk["content"]))
            print_json(chunk)
    except BaseException:
        execution.interrupt(hard=True)  # closing `chunks` would wait for a program that ignores a gentle one
        raise


def print_json(record: Any) -> None:
    """Print one line of JSON in ASCII, so that nothing in it can act on a terminal or break a reader."""
    write_all(1, json.dumps(record, separators=(",", ":")).encode() + b"\n")
