"""Sessions and their events as lines for people. Whatever came from a model or a guest is shown, never obeyed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.cells import cell_len, set_cell_size

from sandbox_interpreter.sessions import store
from sandbox_interpreter.sessions.session import Session
from sandbox_interpreter.terminal.escape import reveal

_HEAD = ("NAME", "CHANGED", "IMAGE", "TITLE")


def table(sessions: Sequence[Session], states: Mapping[str, str] | None = None) -> str:
    """Return the sessions as rows, as wide as the terminal at the most; without ``states``, numbered from 1."""
    rows: list[tuple[str, ...]] = [("", *_HEAD) if states is None else (_HEAD[0], "STATE", *_HEAD[1:])]
    for number, session in enumerate(sessions, 1):
        first = (str(number), session.name) if states is None else (session.name, states[session.name])
        rows.append((*first, *_facts(session)))
    return _aligned([tuple(map(reveal, row)) for row in rows])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = ["  ".join([*map(set_cell_size, row, widths), row[-1]]).rstrip() for row in rows]
    if sys.stdout.isatty():
        most = shutil.get_terminal_size().columns
        lines = [set_cell_size(line, most).rstrip() if cell_len(line) > most else line for line in lines]
    return "\n".join(lines)


def _facts(session: Session) -> tuple[str, ...]:
    record = session.record()
    when = datetime.fromtimestamp(store.changed(session)[0]).astimezone()
    return f"{when:%Y-%m-%d %H:%M}", record.image, record.title


_SAID = {"notice": "text", "error": "text", "message": "content", "partial": "content"}
_MOST = 200
"""Characters of a text that a line of the log shows."""


def line_of(entry: Mapping[str, Any]) -> str:
    """Return one event as a line: when, what, and the facts that tell it from others."""
    event = str(entry["event"])
    facts = {name: value for name, value in entry.items() if name not in ("time", "event") and value is not None}
    text = facts.pop(_SAID[event], "") if event in _SAID else facts.pop("code", "")
    if facts.get("type") == "image":
        text = f"({len(str(text)) * 3 // 4} bytes)"
    shown = [f"{name}={_value(value)}" for name, value in facts.items() if value != ""]
    return reveal(" ".join(filter(None, [_time(entry.get("time")), event.ljust(8), *shown, _short(text)])))


def _time(text: Any) -> str:
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
    except (TypeError, ValueError):
        return "-" * 19


def _value(value: Any) -> str:
    return _short(" ".join(f"{name}:{each}" for name, each in value.items()) if isinstance(value, dict) else value)


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
