"""How values go over the wire."""

from __future__ import annotations

import json
from typing import Any


def as_json(value: Any) -> bytes:
    """Return ``value`` as one line of JSON in ASCII: half a character, which a model may write, breaks nothing then."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def event(data: Any, name: str = "") -> bytes:
    """Return one server-sent event with ``data`` as JSON. Without a name it is what browsers call a message."""
    line = b"data: " + as_json(data) + b"\n\n"
    return b"event: " + name.encode("ascii") + b"\n" + line if name else line
