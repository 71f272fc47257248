"""Model events in a form that tests compare: neighbouring pieces joined, however the text was cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import strategies as st

from sandbox_interpreter.models.base import CodeDelta, CodeEnd, ModelEvent, TextDelta


def joined(events: Iterable[ModelEvent]) -> list[ModelEvent]:
    """Return the events with the pieces of each text and each block made one."""
    whole: list[ModelEvent] = []
    for event in events:
        last = whole[-1] if whole else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            whole[-1] = TextDelta(last.text + event.text)
        elif isinstance(event, CodeDelta) and isinstance(last, CodeDelta):
            assert event.language == last.language
            whole[-1] = CodeDelta(last.language, last.code + event.code)
        else:
            whole.append(event)
    return whole


def codes(events: Iterable[ModelEvent]) -> list[tuple[str, str]]:
    """Return language and code of each block that ended."""
    whole = joined(events)
    return [(first.language, first.code) for first, second in pairwise(whole)
            if isinstance(first, CodeDelta) and isinstance(second, CodeEnd)]


def prose(events: Iterable[ModelEvent]) -> str:
    """Return all prose."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@st.composite
def cut_up(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, list[str]]:
    """Draw a text, and the same text cut into pieces at arbitrary places."""
    text = draw(texts)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=12))) if text else []
    edges = [0, *cuts, len(text)]
    return text, [text[left:right] for left, right in pairwise(edges)]
