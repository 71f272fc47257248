"""Fixtures of the HTTP server's tests: interpreters without containers, and a server of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sandbox_interpreter.interpreter import Interpreter
from tests.support.http_server import Make, MakeMaker, Served, scripted, served

TURNS = ({"text": "One.", "code": "x = 2"}, {"text": "Set."}, {"text": "Two."})


@pytest.fixture
def make(tmp_path: Path) -> MakeMaker:
    """Give a function that makes makers of interpreters without containers, whose model says ``turns``."""
    def maker(*turns: dict[str, str], engine: Any = None, **given: Any) -> Make:
        script = tmp_path / "script.yaml"
        script.write_text(yaml.safe_dump({"turns": list(turns or TURNS), "repeat": True}))

        def make_one() -> Interpreter:
            interpreter = Interpreter(model=f"scripted:{script}", **{"auto_run": True, **given})
            interpreter.workbench.engine = engine or scripted()
            return interpreter

        return make_one

    return maker


@pytest.fixture
def server(make: MakeMaker) -> Iterator[Served]:
    """Give a server without tokens and rates."""
    with served(make(), rate=0) as one:
        yield one


@pytest.fixture
def client(server: Served) -> Iterator[httpx.Client]:
    """Give a client of that server."""
    with server.client() as one:
        yield one
