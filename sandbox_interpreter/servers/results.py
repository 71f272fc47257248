"""A run of code as one JSON object."""

from __future__ import annotations

import base64
from typing import Any

from sandbox_interpreter.messages import Message, image_head
from sandbox_interpreter.sandbox.chunks import as_streams
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.outputs import ExecResult

MOST_RESULT = 16 * 1024 * 1024
"""Bytes of output that one result holds; a stream has no such limit."""


def ending(result: ExecResult) -> dict[str, Any]:
    """Return how a run ended, as JSON."""
    return {"type": "result", "exit_code": result.exit_code, "duration_ms": result.duration_ms, "limit": result.limit,
            "interrupted": result.interrupted}


def collect(execution: Execution) -> dict[str, Any]:
    """Return a run with all its output, once it has ended. What is over MOST_RESULT bytes is dropped, and that told."""
    collector = _Collector()
    for output in execution:
        for name, data in as_streams(output, collector.take_picture):
            collector.streams[name] += collector.fitting(data)
    texts = {name: bytes(data).decode("utf-8", "replace") for name, data in collector.streams.items()}
    return {**ending(execution.result), **texts, "images": collector.pictures, "truncated": collector.truncated}


class _Collector:
    def __init__(self) -> None:
        self.streams = {"stdout": bytearray(), "stderr": bytearray()}
        self.pictures: list[Message] = []
        self.truncated = False
        self._left = MOST_RESULT

    def take_picture(self, mime: str, data: bytes) -> None:
        """Keep a picture, if all of it fits: half of one is none."""
        if self._left >= len(data):
            self._left -= len(data)
            self.pictures.append(image_head(mime).message(base64.b64encode(data).decode("ascii")))
        else:
            self.truncated = True

    def fitting(self, data: bytes) -> bytes:
        """Return as much of ``data`` as fits."""
        kept = data[:self._left]
        self._left -= len(kept)
        self.truncated = self.truncated or len(kept) < len(data)
        return kept
