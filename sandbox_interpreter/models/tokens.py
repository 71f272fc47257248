"""How many tokens a text is: exactly where it matters and can be known, roughly elsewhere.

A token is three to five bytes of most texts and never far below 1.3 of any (random base64 comes near it), so that a
request that is short enough by that measure needs no counting at all. What is counted is counted once.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

TokenCount = Callable[[str], int]

_TYPICAL_BYTES = 3.8
"""Bytes of a token in prose and source code, by litellm's tokenizer."""
_FEWEST_BYTES = 1.3
"""Bytes of a token in the densest text there is: random base64, digits, rare scripts."""
PER_ENTRY = 4
"""Tokens that stand around each entry of a request: role and separators."""
PER_PICTURE = 1600
"""Tokens of a picture at the size that providers scale it down to (Anthropic: width x height / 750, at most 1,568)."""

_MANY = 100
"""New texts from which on it saves time to count them on several threads."""
_THREADS = min(4, os.cpu_count() or 1)

_MOST_REMEMBERED = 100_000
_counted: dict[tuple[str, int, int], int] = {}


def roughly(text: str) -> int:
    """Return about how many tokens ``text`` is, for people to read."""
    return round(_bytes(text) / _TYPICAL_BYTES)


def at_most(text: str) -> int:
    """Return more tokens than ``text`` is, whatever it is, in next to no time."""
    return round(_bytes(text) / _FEWEST_BYTES)


def is_exact() -> bool:
    """Tell whether ``counter`` counts, since litellm is loaded."""
    return hasattr(sys.modules.get("litellm"), "token_counter")


def counter(model: str) -> TokenCount:
    """Return what counts tokens as litellm does for ``model``; roughly, as long as litellm is not loaded."""
    count = getattr(sys.modules.get("litellm"), "token_counter", None)
    return Exact(count, model) if count else roughly


@dataclass(frozen=True)
class Exact:
    """Counts with ``count``, a tokenizer's function, and remembers what it has counted."""

    count: Callable[..., int]
    model: str

    def __call__(self, text: str) -> int:
        """Return how many tokens ``text`` is."""
        if not text:
            return 0
        key = self._key(text)
        found = _counted.get(key)
        if found is None:
            if len(_counted) >= _MOST_REMEMBERED:
                _counted.clear()
            found = _counted[key] = self.count(model=self.model, text=text)
        return found

    def ahead(self, texts: Iterable[str]) -> None:
        """Count those of ``texts`` that are new, many of them on several threads: tokenizers let others run."""
        new = [*{text for text in texts if text and self._key(text) not in _counted}]
        if len(new) < _MANY:
            return
        parts = [new[first::_THREADS] for first in range(_THREADS)]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="sbi-tokens") as threads:
            deque(threads.map(lambda part: sum(map(self, part)), parts), maxlen=0)

    def _key(self, text: str) -> tuple[str, int, int]:
        return self.model, hash(text), len(text)  # not the text itself, which may be long


def of_entries(entries: Sequence[Mapping[str, Any]], count: TokenCount) -> int:
    """Return the tokens of these entries of a request."""
    if isinstance(count, Exact):
        count.ahead(text for entry in entries for text in _all_texts(entry))
    return sum(of_entry(entry, count) for entry in entries)


def of_entry(entry: Mapping[str, Any], count: TokenCount) -> int:
    """Return the tokens of one entry of a request: its text, its calls, its pictures."""
    return PER_ENTRY + sum(map(count, _all_texts(entry))) + PER_PICTURE * sum(1 for _ in pictures(entry))


def pictures(entry: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Return the parts of an entry that are pictures."""
    content = entry["content"]
    return [part for part in content if part["type"] == "image_url"] if isinstance(content, list) else []


def _all_texts(entry: Mapping[str, Any]) -> Iterator[str]:
    yield from _texts(entry)
    yield from (call["function"]["arguments"] for call in entry.get("tool_calls", ()))


def _texts(entry: Mapping[str, Any]) -> Iterable[str]:
    content = entry["content"]
    if isinstance(content, list):
        return [part["text"] for part in content if part["type"] == "text"]
    return [content or ""]


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
