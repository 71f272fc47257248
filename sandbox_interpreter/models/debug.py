"""What is sent to a model, for people to read: no key in it, and no picture's megabytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox_interpreter.models.failures import without_keys

_SHORTENED = 60
"""Characters of a picture's data that are shown."""
_KEY = "api_key"


def told(request: Mapping[str, Any], secrets: Iterable[str | None]) -> str:
    """Return a request as indented JSON, ``secrets`` and whatever looks like a key blotted out.

    Characters that a terminal would obey or hide are escaped, since a part of it is what code has printed.
    """
    hidden = tuple(secrets)
    shown = {name: _shown(value, hidden) for name, value in request.items() if name != _KEY}
    text = json.dumps(shown, indent=2, ensure_ascii=False, default=str)
    return "".join(letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1] for letter in text)


def _shown(value: Any, secrets: tuple[str | None, ...]) -> Any:
    """Return ``value`` without secrets, and with the data of the pictures in it cut."""
    match value:
        case str() if value.startswith("data:"):
            return f"{value[:_SHORTENED]}… ({len(value)} characters)"
        case str():
            return without_keys(value, secrets)
        case Mapping():
            return {name: _shown(each, secrets) for name, each in value.items()}
        case list():
            return [_shown(each, secrets) for each in value]
    return value
