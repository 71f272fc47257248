"""A call that a model wrote out as prose instead of making it: told from prose while it streams.

Models that know tools only from their templates, and servers that do not find the call in what they write, send the
text of the call as the answer: ``{"language": "python", "code": "10+12"}``, ``functions.execute({…})``,
``{"name": "execute", "arguments": {…}}``, in a ``json`` fence or between ``<tool_call>`` tags. An answer that is
nothing else is that call. One that begins otherwise passes at once and unchanged.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from sandbox_interpreter.models.arguments import read_object
from sandbox_interpreter.models.base import CodeDelta, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.markdown import DEFAULT_LANGUAGE

_WRAPPERS = ("", "```json", "<tool_call>", "functions.execute(", "execute(")
_FIRST_FIELDS = ("{language:", "{code:", "{name:execute", "{name:functions.execute")
_OPENINGS = tuple(map("".join, itertools.product(_WRAPPERS, _FIRST_FIELDS)))
"""How a call begins, without its blanks and quotes."""
_BLANKS_AND_QUOTES = re.compile(r"[\s\"']+")
_LONGEST_BEGIN = 200
"""Characters that tell what an answer is, with as many blanks as nobody writes."""
_WHOLE = re.compile(r"\s*(?:```json\s|<tool_call>|(?:functions\.)?execute\s*\()?\s*(\{.*\})"
                    r"\s*(?:```|</tool_call>|\))?\s*", re.DOTALL)
_FIELDS = {"language", "code", "name"}


def recognised(events: Iterable[ModelEvent]) -> Iterator[ModelEvent]:
    """Yield the same events, an answer that is the text of a call made that call."""
    held: list[str] | None = []  # None behind the answer's beginning
    begin = ""
    for event in events:
        if held is not None and isinstance(event, TextDelta):
            held.append(event.text)
            begin = (begin + event.text).lstrip()[:_LONGEST_BEGIN]
            if not _may_be_call(begin):
                yield TextDelta("".join(held))
                held = None
            continue
        if held:
            yield TextDelta("".join(held))
        held = None
        yield event
    if held:
        yield from _call("".join(held))


def _may_be_call(begin: str) -> bool:
    """Tell whether prose that begins like this may turn out to be a call."""
    bare = _BLANKS_AND_QUOTES.sub("", begin)
    return any(bare.startswith(opening) or opening.startswith(bare) for opening in _OPENINGS)


def _call(text: str) -> Iterator[ModelEvent]:
    match = _WHOLE.fullmatch(text)
    fields = read_object(match[1]) if match else {}
    if "code" not in fields or fields.keys() - _FIELDS:
        yield TextDelta(text)
        return
    yield CodeDelta(fields.get("language") or DEFAULT_LANGUAGE, fields["code"])
    yield CodeEnd()
