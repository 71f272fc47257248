"""All checks of an image, in their order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.catalogue.index import BundledImage
from sandbox_interpreter.catalogue.labels import LANGUAGES_LABEL, MEGABYTES_LABEL, NAME_LABEL, VERIFY_LABEL
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.image_base import ImageInfo, ImageTransport
from sandbox_interpreter.errors import ImageMissing, SandboxInterpreterError
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.verification import archive, behaviour, files, record
from sandbox_interpreter.verification.subject import Check, Outcome, Subject, failed

CHECKS = (
    Check("user", record.not_root),
    Check("setuid", files.no_setuid),
    Check("writable", files.not_writable),
    Check("caches", files.no_caches),
    Check("secrets", files.no_secrets),
    Check("base", record.pinned_base),
    Check("size", record.small_enough),
    Check("agent", behaviour.agent_answers),
    Check("languages", behaviour.languages_answer, live=True),
    Check("proof", behaviour.proof_passes, live=True),
    Check("packages", behaviour.packages_are_listed, live=True),
    Check("runtimes", behaviour.runtimes_are_sound, live=True),
)
"""Adding a check is one function and one line here."""

_NUMBER = re.compile(r"[0-9]{1,9}")
_FALLBACK = ("python", "shell")
"""What every image with a Python answers in: the agent brings both."""


class Result(NamedTuple):
    """The outcome of the check of that name."""

    name: str
    outcome: Outcome


@contextmanager
def examine(name: str, engine: DockerEngine, runtime: str | None = None) -> Iterator[Subject]:
    """Give an image, bundled or any reference, to hold against the checks. Raises ImageMissing, EngineError."""
    image = index.bundled().get(name)
    reference = image.tag if image else name
    info = engine.images().image(reference)
    if info is None:
        raise ImageMissing(f"Image {name!r} is not built." if image else f"The image {name!r} is not present.",
                           next_step=f"Run: sbi images {'build' if image else 'pull'} {name}")
    # By its identifier: what was read and what is started are one image, whatever happens to its name meanwhile.
    with Sandbox(info.id, engine=engine, policy=Policy(runtime=runtime), provide=_refuse) as box:
        yield _subject(reference, image, info, engine.transport(), box)


def results(subject: Subject) -> Iterator[Result]:
    """Yield the result of every check, each as soon as it is known; without an agent the live ones are left out."""
    for check in CHECKS:
        try:
            outcome = check.look(subject)
        except ImageMissing:
            raise
        except SandboxInterpreterError as error:
            outcome = failed(str(error))
        yield Result(check.name, outcome)
        if check.name == "agent" and outcome.state == "failed":
            return


def _subject(reference: str, image: BundledImage | None, info: ImageInfo, transport: ImageTransport,
             box: Sandbox) -> Subject:
    contents = archive.read(transport.export([info.id]))
    if image:
        return Subject(reference, info, contents, box, image.languages, image.verify_script.read_text("utf-8"),
                       image.bound)
    size = info.labels.get(MEGABYTES_LABEL, "")
    return Subject(reference, info, contents, box, _languages(info), _commands(info),
                   int(size) * 1_000_000 if _NUMBER.fullmatch(size) else None)


def _languages(info: ImageInfo) -> tuple[str, ...]:
    told = info.labels.get(LANGUAGES_LABEL, "").split(",")
    if known := tuple(name for name in told if name in behaviour.QUESTIONS):
        return known
    parent = index.bundled().get(info.labels.get(NAME_LABEL, ""))
    return parent.languages if parent else _FALLBACK


def _commands(info: ImageInfo) -> str:
    """Return the image's own commands as one script; they run in its sandbox and nowhere else."""
    try:
        commands = json.loads(info.labels.get(VERIFY_LABEL, "[]"))
    except (ValueError, RecursionError):
        commands = ["false"]  # a label that cannot be read proves nothing
    if not isinstance(commands, list) or not commands:
        return ""
    return "\n".join(["#!/bin/bash", "set -euo pipefail", *map(str, commands)]) + "\n"


def _refuse(image: str, _: object) -> None:
    raise ImageMissing(f"The image {image!r} went away while it was looked at.", next_step="Try again.")
