"""Images that a test changes."""

from __future__ import annotations

from typing import Protocol


class MakeImage(Protocol):
    """Makes an image like ``base`` with lines of a Dockerfile on top; returns its name."""

    def __call__(self, *changes: str) -> str: ...
