"""Hand-written streams of chunks, shown by a program of its own in a pseudo-terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.support.terminal import Terminal, python

PRELUDE = '''
import itertools, sys, threading, time
from sandbox_interpreter.config import Settings
from sandbox_interpreter.messages import *
from sandbox_interpreter.terminal.render import Renderer

def block(head, *pieces, pause=0.0):
    yield head.chunk(start=True)
    for piece in pieces:
        time.sleep(pause)
        yield head.chunk(content=piece)
    yield head.chunk(end=True)

def words(text):
    return [text[n:n + 5] for n in range(0, len(text), 5)]

def show(chunks):
    for _ in renderer.show(chunks):
        pass
    print("-- end --")

renderer = Renderer(Settings())
'''


def terminal(script: str, *, columns: int = 80, rows: int = 24, env: Mapping[str, str] | None = None) -> Terminal:
    """Return a terminal in which ``script`` runs; it has block(), words(), show() and renderer."""
    return Terminal(python(PRELUDE + script), columns=columns, rows=rows, env=env)


def unfolded(rows: list[str]) -> str:
    """Return the text of rows as if nothing had been wrapped."""
    return re.sub(r"\s+", "", "".join(rows))
