"""What a task is: its keys, with their defaults, ranges and explanations. The JSON schema is made from this."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox_interpreter.config.fields import Spec, setting, spec_of

SETTINGS: Mapping[str, str] = {
    "model": "model", "temperature": "temperature", "max_tokens": "max_tokens", "max_output": "max_output",
    "budget": "max_budget", "image": "image", "network": "network", "memory": "memory", "cpus": "cpus", "pids": "pids",
    "timeout": "timeout", "output": "output", "disk": "disk", "env": "env", "secret": "secret",
}
"""Settings that a task may have of its own, by the key that they have in its file."""

_DAY = 24 * 3600


@dataclass(frozen=True)
class Input:
    """Files that are copied into the fresh workspace."""

    pattern: str
    """A file, or a pattern of files, relative to the task's file."""
    to: str = ""
    """Its name in /workspace, or, with a / at its end, the folder there; empty, the name that it has."""


@dataclass(frozen=True)
class Check:
    """A program that runs in the same container once the work is done; exit code 0 means passed."""

    name: str
    """What reports call it."""
    language: str
    """The language of ``code``."""
    code: str
    """The program."""


@dataclass(frozen=True)
class Task:
    """One task. ``name``, ``file`` and ``settings`` aside, every field is a key of its file."""

    name: str
    """What reports and folders call it; unless it says so itself, the file's path without its suffix."""
    file: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its own, by the names of ``Settings``."""
    description: str = setting("", example="The report adds up.")
    """What it is about, for people."""
    prompt: str = setting("", example="Sum the column amount of data.csv into sum.txt.")
    """What the model is asked to do; either this or code."""
    code: str = setting("", example="print(6 * 7)")
    """A program to run in the place of a model; exit code 0 means that it went well."""
    language: str = setting("python", example="shell")
    """The language of code."""
    languages: tuple[str, ...] = setting((), example="python")
    """The languages that the model may use; empty, all that the image has."""
    inputs: tuple[Input, ...] = ()
    """Files that are copied into /workspace first: patterns, or maps of from and to."""
    artifacts: tuple[str, ...] = setting((), example="*.csv")
    """Patterns of files in /workspace that must be there in the end, and are copied to --out."""
    checks: tuple[Check, ...] = ()
    """What has to hold afterwards: shell commands, or maps of name and run (a command), or code and language."""
    retries: int = setting(0, least=0, most=100, example="2")
    """How often a task that failed is tried again, each time from the beginning."""
    deadline: float = setting(0.0, least=0, most=_DAY, example="600")
    """Seconds that one try may take, model and checks included; 0 for no limit."""
    isolation: str = setting("container", choices=("container", "cell"), example="cell")
    """A container of its own, or only a process in a container that other tasks have used: faster and weaker."""

    @property
    def kind(self) -> str:
        """Return ``prompt`` or ``code``."""
        return "prompt" if self.prompt else "code"


KEYS = {each.name: each for each in dataclasses.fields(Task) if each.name not in ("file", "settings")}
"""The keys of a task's file that are no settings."""
SPECS: Mapping[str, Spec] = {name: spec_of(each.metadata) for name, each in KEYS.items()}
INPUT_KEYS = ("from", "to")
CHECK_KEYS = ("name", "run", "code", "language")
