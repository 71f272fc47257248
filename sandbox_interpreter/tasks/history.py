"""What became of each task the last time it ran here, kept in the data folder for --rerun-failed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from sandbox_interpreter.config import data_folder
from sandbox_interpreter.tasks.results import STATUSES, Status, TaskResult

_MOST = 20_000
"""Files that are remembered: those that ran last."""


def path() -> Path:
    """Return the path of the record."""
    return data_folder() / "tasks.json"


def statuses() -> dict[str, Status]:
    """Return what each file came to the last time, by its absolute path; what cannot be read is forgotten."""
    try:
        data = json.loads(path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    known = data if isinstance(data, dict) else {}
    return {file: status for file, status in known.items() if status in STATUSES}


def remember(results: Iterable[TaskResult]) -> None:
    """Keep what tasks came to. One that was not run stays as it was; a disk that refuses is no reason to fail."""
    kept = statuses()
    for result in results:
        if result.attempts:
            kept.pop(result.file, None)  # so that it goes to the end
            kept[result.file] = result.status
    draft = path().with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(json.dumps(dict(list(kept.items())[-_MOST:]), indent=0), "utf-8")
        draft.replace(path())
