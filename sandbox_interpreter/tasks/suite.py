"""Which tasks are meant: the files that words name, read, checked together, and cut into shards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from sandbox_interpreter import config
from sandbox_interpreter.config.folders import shown
from sandbox_interpreter.errors import ConfigError, SandboxInterpreterError, TransferError, UsageError
from sandbox_interpreter.sandbox.names import check_name
from sandbox_interpreter.tasks import history, inputs, reader
from sandbox_interpreter.tasks.record import Task

SUFFIXES = (".yaml", ".yml")
_WILD = re.compile(r"[*?\[]")


def files(words: Iterable[str]) -> list[Path]:
    """Return the task files that ``words`` name: files, folders (all in and below them), patterns; each once, sorted.

    Files below a folder whose names begin with a dot are left out. Raises UsageError for a word that names none.
    """
    found: dict[Path, None] = {}
    for word in words:
        matching = [path.absolute() for path in _named(word)]
        if not matching:
            raise UsageError(f"{word!r} names no task file.",
                             next_step="Name a file, a folder of .yaml files, or a pattern: sbi task 'tests/**/*.yaml'")
        found.update(dict.fromkeys(matching))
    return sorted(found)


def _named(word: str) -> list[Path]:
    path = Path(word).expanduser()
    if path.is_dir():
        return [file for file in path.rglob("*") if _is_task(file.relative_to(path)) and file.is_file()]
    if path.exists() or not _WILD.search(word):
        return [path] if path.is_file() else []
    if path.is_absolute():
        return [file for file in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if file.is_file()]
    return [file for file in Path().glob(word) if file.is_file()]


def _is_task(relative: Path) -> bool:
    return relative.suffix in SUFFIXES and not any(part.startswith(".") for part in relative.parts)


def read(paths: Sequence[Path]) -> list[Task]:
    """Return the tasks of ``paths``. Raises ConfigError that tells what is wrong with any of them, inputs included."""
    tasks: list[Task] = []
    problems: list[ConfigError] = []
    for path in paths:
        try:
            task = reader.read(path, name_of(path))
            _check_name(task)
            inputs.sources(task)
            tasks.append(task)
        except SandboxInterpreterError as error:
            problems.append(ConfigError(str(error), next_step=error.next_step))
    owners: dict[str, Task] = {}
    for task in tasks:
        first = owners.setdefault(task.name.casefold(), task)
        if first is not task:
            problems.append(ConfigError(f"{shown(task.file)} and {shown(first.file)} are both called {task.name!r}.",
                                        next_step="Give one of them a `name:` of its own."))
    config.refuse(problems)
    return tasks


def _check_name(task: Task) -> None:
    """Raise UsageError for a task whose name cannot be that of a folder below --out."""
    try:
        check_name(task.name)
    except TransferError:
        raise UsageError(f"{shown(task.file)}: the task cannot be called {task.name!a}.",
                         next_step="Give it a `name:` of plain words; / parts folders.") from None


def name_of(path: Path) -> str:
    """Return what a task in a file is called: its path from here, without the suffix; from elsewhere its name alone."""
    relative = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else Path(path.name)
    return relative.with_suffix("").as_posix()


def shard(paths: Sequence[Path], text: str) -> list[Path]:
    """Return the part of ``paths`` that ``text`` (``2/5``) means; all parts are of one size, and together are all.

    Raises UsageError.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= parts:
        raise UsageError(f"--shard {text!r} is no part of a whole.",
                         next_step="Write, say, --shard 2/5 for the second of five.")
    return list(paths[number - 1::parts])


def failed(paths: Sequence[Path]) -> list[Path]:
    """Return those of ``paths`` that did not pass the last time, or never ran to an end here."""
    known = history.statuses()
    return [path for path in paths if known.get(str(path)) != "passed"]
