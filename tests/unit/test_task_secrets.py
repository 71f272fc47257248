"""Reports of tasks hold no secrets, whatever the code printed."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.tasks.attempt import Attempt
from sandbox_interpreter.tasks.place import Places, Switch
from sandbox_interpreter.tasks.record import Task
from sandbox_interpreter.tasks.results import CheckResult, Report, TaskResult
from sandbox_interpreter.tasks.tries import Folders, Tries


def test_what_the_code_printed_is_reported_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY", "hunter-22-hunter")
    check = CheckResult("c", passed=False, exit_code=1, output="so: hunter-22-hunter", seconds=0.0)
    came = TaskResult("t", "t.yaml", "failed", "no hunter-22-hunter", output="hunter-22-hunter!", checks=(check,))
    monkeypatch.setattr(Attempt, "run", lambda _self, _places: came)
    task = Tries(Task("t", Path("t.yaml"), code="x"), Settings(secret=("DEPLOY",)), Folders(), Switch())
    report = Report([task.run(cast("Places", None))], 0.0).as_json()
    assert "hunter" not in report
    assert report.count("[secret DEPLOY]") == 3
