"""Pictures that a prompt names: files of the user's, which are read, and addresses, which are passed on as they are."""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox_interpreter import pictures
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.gallery import KINDS
from sandbox_interpreter.sandbox.artifacts import parts_below

# Both take a whole word at a time, so that the time for a prompt is linear in its length.
_URL = re.compile(r"https?://[^\s\"'<>()\[\]`]+", re.I)
_WORD = re.compile(r"(?<![^\s([])(?:\"([^\"\n]+)\"|'([^'\n]+)'|`([^`\n]+)`)(?!\w)|((?:\\.|[^\s\"'`\\()\[\]<>,;])+)")
_SUFFIX = re.compile(r"[^/]\.(?:png|jpe?g|gif|webp)(?:\?|$)", re.I)
_PUNCTUATION = ".,;:!?"
_MOST = 8
"""Pictures of one prompt, as many as a request shows."""


@dataclass(frozen=True)
class Attached:
    """A picture as a message, and what it is called where it comes from."""

    name: str
    message: Message


@dataclass(frozen=True)
class Refused:
    """A file that was named and is not attached, with the reason, which ends a sentence."""

    name: str
    reason: str


def names_any(prompt: str) -> bool:
    """Tell whether ``prompt`` looks as if it named pictures."""
    return bool(_urls(prompt) or _names(prompt))


def attached(prompt: str, *, sees: bool, workspace: Path | None, notify: Callable[[str], None]) -> Iterator[Message]:
    """Yield the pictures that ``prompt`` names as messages, telling which they are; none for a model that sees none.

    ``workspace`` is the folder that code can write to: no link in it leads to a file outside.
    """
    for each in found(prompt, workspace=workspace):
        if isinstance(each, Refused):
            notify(f"{each.name} is not attached: {each.reason}.")
        elif sees:
            notify(f"Attached: {each.name}")
            yield each.message
        elif each.message["format"] != "url":
            notify(f"{each.name} is not attached: this model sees no pictures. For one that does: --vision")


def found(prompt: str, *, workspace: Path | None = None) -> Iterator[Attached | Refused]:
    """Yield the pictures that ``prompt`` names. Names of files that are not there are words like any other."""
    for url in _urls(prompt):
        yield Attached(url, {"role": "user", "type": "image", "format": "url", "content": url})
    for name in _names(prompt):
        with suppress(RuntimeError, OSError, ValueError):  # ~nobody, a name that is too long, or no name at all
            path = Path(name).expanduser()
            if path.is_file():
                yield _read(name, path, workspace)


def _urls(prompt: str) -> list[str]:
    found = (url.rstrip(_PUNCTUATION) for url in _URL.findall(prompt))
    return list(dict.fromkeys(url for url in found if _SUFFIX.search(url)))[:_MOST]


def _names(prompt: str) -> list[str]:
    found = (_name(match) for match in _WORD.finditer(_URL.sub(" ", prompt)))
    return list(dict.fromkeys(name for name in found if _SUFFIX.search(name)))[:_MOST]


def _name(match: re.Match[str]) -> str:
    *quoted, bare = match.groups()
    # What a terminal pastes for a file that is dropped on it: blanks behind backslashes, or an address of a file.
    return next(filter(None, quoted), None) or re.sub(r"\\(.)", r"\1", bare.rstrip(_PUNCTUATION)).removeprefix("file://")


def _read(name: str, path: Path, workspace: Path | None) -> Attached | Refused:
    try:
        data = _bytes(path, workspace)
    except (OSError, ValueError) as error:
        return Refused(name, error.strerror or str(error) if isinstance(error, OSError) else str(error))
    picture = pictures.identify(data)
    if picture is None or picture.kind not in KINDS:
        return Refused(name, "it is no PNG, JPEG, GIF or WebP")
    content = base64.b64encode(data).decode("ascii")
    return Attached(name, {"role": "user", "type": "image", "format": f"base64.{picture.kind}", "content": content})


def _bytes(path: Path, workspace: Path | None) -> bytes:
    """Return a file's bytes. Raises OSError; ValueError for one that is no regular file, too large, or elsewhere."""
    # Not waiting for a pipe's other end; what is judged is the file that was opened, not what its name may mean next.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if status.st_size > pictures.MOST_BYTES:
            raise ValueError(f"it is larger than {pictures.MOST_BYTES >> 20} MiB")
        real = Path(f"/proc/self/fd/{descriptor}").readlink()
        place = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the very links that are looked for
        if workspace and not real.is_relative_to(workspace.resolve()) and parts_below(place, workspace) is not None:
            raise ValueError("it is a link to a file outside of the workspace")
        return file.read(pictures.MOST_BYTES + 1)[:pictures.MOST_BYTES]
