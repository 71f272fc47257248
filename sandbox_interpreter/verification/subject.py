"""What is verified, and what a check finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from sandbox_interpreter.engines.image_base import ImageInfo
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.verification import probe
from sandbox_interpreter.verification.archive import Archive
from sandbox_interpreter.verification.probe import Inventory

State = Literal["ok", "warning", "failed"]


class Outcome(NamedTuple):
    """What one check found, in a sentence for people."""

    state: State
    detail: str


class Check(NamedTuple):
    """One thing that an image is held against. ``live`` ones need a sandbox whose agent answers."""

    name: str
    look: Callable[[Subject], Outcome]
    live: bool = False


@dataclass
class Subject:
    """An image under examination: what its engine knows, what it is made of, and a sandbox that was started from it.

    ``languages`` are those that it has to answer in. ``proof`` is its verify script, "" for none. ``bound`` is the size
    in bytes that it may have, None for any.
    """

    reference: str
    info: ImageInfo
    archive: Archive
    box: Sandbox
    languages: tuple[str, ...]
    proof: str = ""
    bound: int | None = None

    @cached_property
    def inventory(self) -> Inventory:
        """Return what is installed, as the image's own package managers list it. Raises SandboxError."""
        return probe.take(self.box)


def passed(detail: str) -> Outcome:
    """Return that all is well."""
    return Outcome("ok", detail)


def failed(detail: str) -> Outcome:
    """Return that the image must not be used like this."""
    return Outcome("failed", detail)


def some(names: list[str], most: int = 3) -> str:
    """Return the first few of many names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
