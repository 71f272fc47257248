"""A conversation as a JSON file: a list of messages, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.messages import Message, as_message

_STEP = "It must hold a JSON list of messages, as %save_message writes it."


def dump(messages: Sequence[Message]) -> bytes:
    """Return ``messages`` as the bytes of a file."""
    lines = ",\n".join(json.dumps(message, ensure_ascii=False) for message in messages)
    return f"[\n{lines}\n]\n".encode("utf-8", "backslashreplace")


def load(data: bytes, name: str) -> list[Message]:
    """Return the messages in the bytes of a file called ``name``, also one of Open Interpreter.

    Raises UsageError that tells the place of what is wrong.
    """
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UsageError(f"{name} is no text in UTF-8.", next_step=_STEP) from None
    except json.JSONDecodeError as error:
        raise UsageError(f"{name} is no JSON: {error.msg}, in line {error.lineno}, column {error.colno}.",
                         next_step=_STEP) from None
    except RecursionError:
        raise UsageError(f"{name} is nested too deeply.", next_step=_STEP) from None
    if not isinstance(found, list):
        raise UsageError(f"{name} holds no list.", next_step=_STEP)
    places = ((f"{name}, message {number}", entry) for number, entry in enumerate(found, 1))
    return [message for place, entry in places for message in _messages(entry, place)]


def _messages(entry: Any, place: str) -> Iterator[Message]:
    if not isinstance(entry, dict):
        raise UsageError(f"{place}: it is no message.", next_step=_STEP)
    try:
        for each in [entry] if "content" in entry else list(_parts(entry)) or [entry]:
            yield as_message(each)
    except UsageError as error:
        raise UsageError(f"{place}: {error}", next_step=error.next_step) from None


def _parts(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages in one of Open Interpreter 0.1, which has prose, code and output together."""
    role = entry.get("role", "user")
    if entry.get("message"):
        yield {"role": role, "type": "message", "content": entry["message"]}
    if entry.get("code"):
        yield {"role": role, "type": "code", "format": entry.get("language", ""), "content": entry["code"]}
    if "output" in entry:
        yield {"role": "computer", "type": "console", "format": "output", "content": entry["output"]}
