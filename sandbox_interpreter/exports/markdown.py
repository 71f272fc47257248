"""A conversation as Markdown, with its pictures as files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from sandbox_interpreter.exports.blocks import Run, parts
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.request import fenced
from sandbox_interpreter.pictures import from_base64


def markdown(messages: Sequence[Message], name: str) -> dict[str, bytes]:
    """Return the files of a page called ``name`` (``chat.md``), by their relative names: itself, and its pictures."""
    page = _Page(name.rpartition(".")[0] or name)
    text = "\n\n".join(block for part in parts(messages) for block in page.blocks(part))
    return {**page.pictures, name: f"{text}\n".encode("utf-8", "replace")}


@dataclass
class _Page:
    stem: str
    pictures: dict[str, bytes] = field(default_factory=dict)

    def blocks(self, part: Message | Run) -> Iterator[str]:
        """Yield the paragraphs and fences of one part."""
        if isinstance(part, Run):
            yield fenced(part.code["content"].rstrip("\n"), part.language)
            for output in part.outputs:
                yield from self._said(output)
        else:
            yield from self._said(part)

    def _said(self, message: Message) -> Iterator[str]:
        text = message["content"]
        if message["type"] == "image":
            yield self._picture(text)
        elif message["type"] == "console":
            if text.strip():
                yield fenced(text.rstrip("\n"), "text")
        elif message["role"] == "user":
            yield "\n".join(f"> {line}".rstrip() for line in text.splitlines())
        elif text.strip():
            yield text.strip("\n")

    def _picture(self, content: str) -> str:
        picture = from_base64(content)
        if picture is None:
            return "*(a picture that cannot be shown)*"
        number = len(self.pictures) + 1
        file = f"{self.stem}-pictures/picture-{number}{picture.suffix}"
        self.pictures[file] = picture.data
        return f"![Picture {number}]({quote(file)})"
