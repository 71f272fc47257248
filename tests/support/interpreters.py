"""Interpreters with a scripted model and no sandbox, and what came of a chat with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import yaml

from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.workbench import Workbench
from tests.support.fakes import ReplayBench

Make = Callable[..., Interpreter]
TURNS = [{"text": "One.", "code": "x = 2"}, {"text": "Set."}, {"code": "x"}, {"text": "Two."}]


def maker(folder: Path) -> Make:
    """Return a function that makes an interpreter whose model says ``turns``; their scripts are kept in ``folder``."""
    def make_one(turns: list[dict[str, str]] = TURNS, **given: Any) -> Interpreter:
        script = folder / f"script{len(list(folder.iterdir()))}.yaml"
        script.write_text(yaml.safe_dump({"turns": turns}))
        interpreter = Interpreter(model=f"scripted:{script}", **given)
        interpreter.workbench = cast(Workbench, ReplayBench())
        return interpreter

    return make_one


def bench_of(interpreter: Interpreter) -> ReplayBench:
    """Return what stands for its workbench."""
    return cast(ReplayBench, interpreter.workbench)


def contents(interpreter: Interpreter) -> list[str]:
    """Return the content of each message."""
    return [message["content"] for message in interpreter.messages]
