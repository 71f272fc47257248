"""Which pictures of a conversation a model gets to see: the newest, within the limits of what providers take."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_interpreter.messages import Message
from sandbox_interpreter.pictures import Picture, from_base64

Part = Mapping[str, Any]
"""One picture, as the OpenAI form has it."""
Shrink = Callable[[Picture], Picture | None]
"""Returns a picture as a PNG or JPEG within the limits below; None where that cannot be done."""

MOST_PICTURES = 8
"""Pictures of one request; the newest count, since each costs as much as a page of text."""
MOST_BYTES = 3_900_000
"""Bytes of one picture. Anthropic's limit is the lowest: 5 MB as base64, four characters for three bytes."""
MOST_TOTAL = 14_000_000
"""Bytes of all pictures of one request. Gemini's limit is the lowest: 20 MB as base64, text included."""
MOST_SIDE = 7_900
"""Pixels of the longer side. Anthropic refuses pictures of over 8,000."""
KINDS = frozenset({"png", "jpeg", "gif", "webp"})
"""Formats that every provider takes."""


@dataclass(frozen=True)
class Gallery:
    """Chooses. ``sees`` tells whether the model takes pictures at all; it is asked where there are any.

    ``urls``: the model also takes the addresses of pictures. ``kinds``: the formats that it takes.
    """

    sees: Callable[[], bool]
    urls: bool = True
    shrink: Shrink | None = None
    kinds: frozenset[str] = KINDS

    def shown(self, messages: Sequence[Message]) -> dict[int, Part]:
        """Return the pictures that are shown, by the index of their messages."""
        shown: dict[int, Part] = {}
        room = MOST_TOTAL
        pictures = [at for at in range(len(messages) - 1, -1, -1) if messages[at]["type"] == "image"]
        for at in pictures if pictures and self.sees() else ():
            part, size = self._part(messages[at])
            if part and size <= room:
                shown[at] = part
                room -= size
            if len(shown) == MOST_PICTURES:
                break
        return shown

    def _part(self, message: Message) -> tuple[Part | None, int]:
        """Return a picture as a part of a request and its bytes; None for one that is not shown."""
        if message.get("format") == "url":
            return (_part(message["content"]), 0) if self.urls else (None, 0)
        if not message.get("format", "").startswith("base64."):  # a path, say: no file is opened because of a message
            return None, 0
        text, picture = message["content"], from_base64(message["content"])
        if picture and not self._takes(picture):
            picture = self.shrink(picture) if self.shrink and picture.kind in KINDS else None
            text = base64.b64encode(picture.data).decode("ascii") if picture else ""
        if picture is None or not self._takes(picture):
            return None, 0
        return _part(f"data:image/{picture.kind};base64,{text}"), len(picture.data)

    def _takes(self, picture: Picture) -> bool:
        return (picture.kind in self.kinds and len(picture.data) <= MOST_BYTES
                and min(picture.width, picture.height) > 0 and max(picture.width, picture.height) <= MOST_SIDE)


BLIND = Gallery(sees=lambda: False)


def _part(url: str) -> Part:
    return {"type": "image_url", "image_url": {"url": url}}
