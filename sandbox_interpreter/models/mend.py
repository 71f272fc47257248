"""Code that a model wrapped in the call it was meant to be the argument of: found and unwrapped while it streams.

Seen in the wild (open-interpreter's issues and source name them): ``10+12executeexecute``; code that is itself
``{"language": "python", "code": "10+12"}``, with or without quotes around the keys; ``functions.execute({…})``.
Code of no such form passes at once and unchanged; code that may be of one is held back until that is clear, so that
what is shown, stored and run is the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sandbox_interpreter.models.arguments import read_object
from sandbox_interpreter.models.base import BrokenOff, CodeDelta, CodeEnd, ModelEvent

_ECHO = "executeexecute"
_CALL = "functions.execute("
_WRAPPED = re.compile(r"\s*(?:functions\.execute\(\s*)?(\{\s*[\"']?(?:language|code)[\"']?\s*:.*\})[\s)]*", re.DOTALL)
_DEPTH = 3  # wrappers within wrappers; more of them are no accident


def mended(events: Iterable[ModelEvent]) -> Iterator[ModelEvent]:
    """Yield the same events, the code in them unwrapped."""
    mender: Mender | None = None
    for event in events:
        if isinstance(event, CodeDelta):
            mender = mender or Mender(event.language)
            yield from mender.feed(event.code)
            continue
        if mender and isinstance(event, CodeEnd | BrokenOff):
            yield from mender.finish()
            mender = None
        yield event


class Mender:
    """Takes the pieces of one code block and yields them, mended; ``finish`` ends the block."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._held = ""
        self._begun = False

    def feed(self, code: str) -> Iterator[CodeDelta]:
        """Yield what can be passed on of the code so far."""
        self._held += code
        if self._begun or not _may_be_wrapped(self._held):
            keep = _length_of_echo(self._held)
            yield from self._pass(self._held[:len(self._held) - keep])

    def finish(self) -> Iterator[CodeDelta]:
        """Yield the rest; at least one piece in all, so that an empty block is a block too."""
        rest = self._held if self._begun else self._unwrapped(self._held)
        rest = _without_echo(rest)
        if not self._begun or rest:
            yield CodeDelta(self._language, rest)

    def _pass(self, code: str) -> Iterator[CodeDelta]:
        if code:
            self._begun = True
            self._held = self._held[len(code):]
            yield CodeDelta(self._language, code)

    def _unwrapped(self, code: str) -> str:
        for _ in range(_DEPTH):
            match = _WRAPPED.fullmatch(_without_echo(code))
            fields = read_object(match[1]) if match else {}
            if "code" not in fields or fields.keys() - {"language", "code"}:
                break
            code, self._language = fields["code"], fields.get("language") or self._language
        return code


def _may_be_wrapped(code: str) -> bool:
    """Tell whether code that begins like this may turn out to be a call."""
    begin = code.lstrip()
    return begin.startswith(("{", _CALL)) or _CALL.startswith(begin)


def _without_echo(code: str) -> str:
    body = code.rstrip()
    return body.removesuffix(_ECHO) if body.endswith(_ECHO) else code


def _length_of_echo(code: str) -> int:
    """Return how many characters at the end may be the beginning of an echo, or all of it."""
    body = code.rstrip()
    if body.endswith(_ECHO):
        return len(code) - len(body) + len(_ECHO)
    return next((size for size in range(len(_ECHO), 0, -1) if code.endswith(_ECHO[:size])), 0)
