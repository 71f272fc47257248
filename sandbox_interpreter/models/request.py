"""Messages of a conversation as a request in the OpenAI form: roles, pairs of tool calls and results, fenced text.

Whatever the messages hold, the request is one that servers accept: each call has exactly one result behind it, also
where a run was abandoned or an answer broke off. Entries that stand or fall together come as one group.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.gallery import BLIND, Gallery, Part
from sandbox_interpreter.models.tool_calls import NAME

FENCES = """To run code, write it in a fenced block that names its language, such as ```python. \
The first block of an answer is run as soon as it is whole, and its output is sent to you; nothing behind it is read. \
So write one block, stop, and wait for the output. Use blocks for nothing else."""
"""What a model without tools is told besides the system message."""

_LOST = "[no result: this block did not run, or was not followed to its end]"
_SILENT = "[the code ran and printed nothing]"
_DRAWN = "[drawn by the code above]"

Entry = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Entries of a request that only make sense together; ``prompt`` where they are what the user said."""

    entries: list[Entry]
    prompt: bool = False


@dataclass(frozen=True)
class Form:
    """How messages are written for one model: with tool calls or fences, how much of an output, which pictures."""

    tools: bool
    max_output: int
    gallery: Gallery = BLIND

    def head(self, system: str) -> Entry:
        """Return the system message of a request."""
        return {"role": "system", "content": (system if self.tools else f"{system}\n\n{FENCES}").strip()}

    def request(self, messages: Sequence[Message], *, system: str) -> list[Entry]:
        """Return the messages of a request, all of them."""
        return [self.head(system), *(entry for group in self.groups(messages) for entry in group.entries)]

    def groups(self, messages: Sequence[Message]) -> Iterator[Group]:
        """Yield the messages behind the system message."""
        shown = self.gallery.shown(messages)
        prose = ""  # of the assistant, kept until it is known whether a block follows it
        for first, end in _spans(messages):
            message, rest = messages[first], _Shown(messages, range(first + 1, end), shown)
            if message["role"] == "assistant" and message["type"] == "code":
                yield Group(self._run(f"call{first:05d}", prose, message, rest))
                prose = ""
                continue
            if prose.strip():  # some servers refuse a message without a word
                yield Group([{"role": "assistant", "content": prose}])
            prose = message["content"] if message["role"] == "assistant" else ""
            if message["role"] != "assistant":
                said = message["role"] == "user" and message["type"] != "code"
                yield Group([self._other(message, rest, _Shown(messages, range(first, end), shown))], prompt=said)
        if prose.strip():
            yield Group([{"role": "assistant", "content": prose}])

    def _run(self, identity: str, prose: str, code: Message, output: _Shown) -> list[Entry]:
        language, source = code.get("format", ""), code["content"]
        result = self._result(output)
        if not self.tools:
            return [{"role": "assistant", "content": f"{prose.rstrip()}\n\n{fenced(source, language)}".lstrip()},
                    {"role": "user", "content": _with(f"The output of this block:\n\n{fenced(result)}", output.parts)}]
        # Nine letters and digits: the only identifiers that Mistral takes.
        arguments = json.dumps({"language": language, "code": source}, ensure_ascii=False)
        call = {"id": identity, "type": "function", "function": {"name": NAME, "arguments": arguments}}
        pair: list[Entry] = [{"role": "assistant", "content": prose if prose.strip() else None, "tool_calls": [call]},
                             {"role": "tool", "tool_call_id": identity, "content": result}]
        # The protocol has no pictures in a tool's result.
        return [*pair, {"role": "user", "content": _with(_DRAWN, output.parts)}] if output.parts else pair

    def _result(self, output: _Shown) -> str:
        """Return what the model is told of a run's output."""
        if not output.messages:
            return _LOST
        text = "\n".join(part.removesuffix("\n") for part in output.texts())
        return cut(text, self.max_output) if text.strip() else _SILENT

    def _other(self, message: Message, rest: _Shown, whole: _Shown) -> Entry:
        """Return what is no part of an answer: the user's words and pictures, a run of theirs, a note of ours."""
        if message["role"] == "system":
            return {"role": "system", "content": message["content"]}
        if message["type"] == "code":
            return {"role": "user", "content": self._users_run(message, rest)}
        if _is_output(message):
            return {"role": "user", "content": _with(cut("\n".join(whole.texts()), self.max_output), whole.parts)}
        if message["role"] == "computer":
            return note(message["content"])
        return {"role": "user", "content": _with("\n".join(whole.texts()), whole.parts)}

    def _users_run(self, code: Message, output: _Shown) -> Any:
        source = fenced(code["content"], code.get("format", ""))
        if not output.messages:
            return f"The user wrote this:\n\n{source}"
        return _with(f"The user ran this:\n\n{source}\n\nIts output:\n\n{fenced(self._result(output))}", output.parts)


class _Shown:
    """Some messages, and which of them are pictures that the model gets to see."""

    def __init__(self, messages: Sequence[Message], indices: range, shown: Mapping[int, Part]) -> None:
        self.messages = [messages[at] for at in indices]
        self.parts = [shown[at] for at in indices if at in shown]
        self._hidden = [at not in shown for at in indices]

    def texts(self) -> Iterator[str]:
        """Yield what stands for each message; nothing for a picture of the user's that is shown."""
        for message, hidden in zip(self.messages, self._hidden, strict=True):
            if hidden or message["role"] == "computer":
                yield _as_text(message, hidden=hidden)


def note(text: str) -> Entry:
    """Return the entry that tells the model something which nobody said."""
    return {"role": "user", "content": f"[A note of the program, not of the user: {text}]"}


def _spans(messages: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """Yield where each span begins and ends: a block with its output, the user's words with their pictures."""
    at = 0
    while at < len(messages):
        first, at = messages[at], at + 1
        begin = at - 1
        if first["type"] == "code" or _is_output(first):
            while at < len(messages) and _is_output(messages[at]):
                at += 1
        elif first["role"] == "user":
            while at < len(messages) and messages[at]["role"] == "user" and messages[at]["type"] == "image":
                at += 1
        yield begin, at


def _is_output(message: Message) -> bool:
    """Tell a run's output from a notice of ours."""
    return message["role"] == "computer" and message["type"] != "message"


def _with(text: str, parts: Sequence[Part]) -> Any:
    """Return the content of an entry: a text, or a text and pictures."""
    return [*([{"type": "text", "text": text}] if text else []), *parts] if parts else text


def _as_text(message: Message, *, hidden: bool) -> str:
    if message["type"] != "image":
        return message["content"]
    if message.get("format") == "url":
        return f"[the user gave the address of a picture: {message['content']}]"
    kind = message.get("format", "").rpartition(".")[2]
    if message["role"] != "computer":
        return f"[the user attached a picture ({kind}) that you cannot see]"
    return f"[a picture ({kind}) was drawn and shown to the user{'' if hidden else ' and to you'}]"


def cut(text: str, limit: int) -> str:
    """Return ``text``; where it is longer than ``limit`` characters, its head and tail with a marker between."""
    if len(text) <= limit:
        return text
    head, tail = limit - limit // 2, limit // 2
    left_out = len(text) - head - tail
    return f"{text[:head]}\n[… {left_out} of {len(text)} characters are left out here …]\n{text[len(text) - tail:]}"


def fenced(text: str, language: str = "") -> str:
    """Return ``text`` as a fenced block whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
