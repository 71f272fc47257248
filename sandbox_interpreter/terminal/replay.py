"""An earlier conversation on the screen again, as it was shown when it came."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby

from sandbox_interpreter.messages import Chunk, Head, Message
from sandbox_interpreter.terminal.escape import reveal
from sandbox_interpreter.terminal.render import Renderer


def replay(messages: Sequence[Message], renderer: Renderer) -> None:
    """Show ``messages``: what the user said behind a prompt sign, all else as it was shown then."""
    for from_the_user, group in groupby(messages, key=_is_prompt):
        if from_the_user:
            for message in group:
                _print_prompt(message["content"], plain=renderer.is_plain)
        else:
            for _ in renderer.show(_chunks(group), waiting=""):
                pass
            sys.stdout.write("\n")


def _is_prompt(message: Message) -> bool:
    return message["role"] == "user" and message["type"] == "message"


def _print_prompt(text: str, *, plain: bool) -> None:
    sign = "> " if plain else "\x1b[1;36m> \x1b[0m"
    first, *others = [reveal(line) for line in text.splitlines()] or [""]
    sys.stdout.write("\n".join([f"{sign}{first}", *(f"  {line}" for line in others), "", ""]))
    sys.stdout.flush()


def _chunks(messages: Iterator[Message]) -> Iterator[Chunk]:
    for message in messages:
        head = Head(message["role"], message["type"], message.get("format"))
        yield head.chunk(start=True)
        if message["content"]:
            yield head.chunk(content=message["content"])
        yield head.chunk(end=True)
