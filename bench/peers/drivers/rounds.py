"""What every driver does when it is told to, line by line on stdin; it answers each line with one of JSON,
which has an ``error`` where that failed.

``round``: a new sandbox prints 1, prints it once more, and is closed; milliseconds of each step.
``state``: whether a variable of one cell is there in the next.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Protocol


class Session(Protocol):
    """A sandbox that is open."""

    def cell(self, code: str) -> str:
        """Return what Python code prints."""

    def close(self) -> None:
        """End it."""


Opener = Callable[[str], Session]
"""Makes a session from the name of an image."""


def serve(distribution: str, open_session: Opener) -> None:
    """Answer orders until stdin ends. ``distribution`` names the package whose version is told first."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever the system prints is not to be taken for an answer
    image = sys.argv[1]
    print(json.dumps({"version": version(distribution)}), file=answers)
    for order in sys.stdin:
        work = _round if order.strip() == "round" else _state
        try:
            answer: dict[str, Any] = work(open_session, image)
        except Exception as error:  # whatever it is, the round has failed, and the next may go well
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


def _round(open_session: Opener, image: str) -> dict[str, float]:
    begun = time.perf_counter()
    session = open_session(image)
    try:
        _print_one(session)
        first = time.perf_counter()
        _print_one(session)
        second = time.perf_counter()
    finally:
        closing = time.perf_counter()
        session.close()
    closed = time.perf_counter()
    return {"cold": (first - begun) * 1000, "cell": (second - first) * 1000, "close": (closed - closing) * 1000}


def _print_one(session: Session) -> None:
    said = session.cell("print(1)")
    if said.strip() != "1":
        raise AssertionError(f"print(1) came to {said[:500]!r}")


def _state(open_session: Opener, image: str) -> dict[str, bool]:
    session = open_session(image)
    try:
        session.cell("x = 41")
        try:
            said = session.cell("print(x + 1)")
        except Exception:  # a system's own word for a NameError
            said = ""
    finally:
        session.close()
    return {"keeps": said.strip() == "42"}
