"""Secrets redacted from whatever is written: what the user passed as one, and the keys of this process's environment.

In the place of a secret stands ``[secret NAME]``. Values shorter than four characters stay: without their letters a
text could not be read, and they hide nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

_LEAST = 4
_LEAST_GUESSED = 8
"""Characters of what is taken for a secret without having been called one: a variable's value, a line of a key."""
_KEY = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASSPHRASE|CREDENTIALS?)$", re.IGNORECASE)


class Redactor:
    """Knows secrets by name, and takes them out of texts: as they are, and as JSON, Python and addresses write them."""

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._marks: dict[str, str] = {}
        for name, value in (secrets or {}).items():
            self.add(name, value)
        for name, value in os.environ.items():
            if _KEY.search(name) and len(value) >= _LEAST_GUESSED:
                self.add(name, value)

    def add(self, name: str, value: str | None) -> None:
        """Take ``value`` for a secret from now on."""
        if value is None or value in self._marks:
            return
        for form in _forms(value):
            self._marks.setdefault(form, f"[secret {name}]")
        # The longest first: a secret may be a part of another.
        self._marks = dict(sorted(self._marks.items(), key=lambda mark: -len(mark[0])))

    @property
    def longest(self) -> int:
        """Return the characters of the longest secret; 0 if there is none."""
        return max(map(len, self._marks), default=0)

    def text(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        for value, mark in self._marks.items():
            if value in text:
                text = text.replace(value, mark)
        return text

    def data(self, value: Any) -> Any:
        """Return JSON-shaped data without the secrets, in its keys either."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(key)): self.data(entry) for key, entry in value.items()}
            case list() | tuple():
                return [self.data(entry) for entry in value]
        return value


def _forms(value: str) -> Iterator[str]:
    """Yield the ways in which a secret may be written; one of several lines may be printed line by line."""
    lines = value.splitlines()
    pieces = [value, *(line for line in lines if len(line.strip()) >= _LEAST_GUESSED)] if len(lines) > 1 else [value]
    for text in pieces:
        for form in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1],
                     quote(text, safe="", errors="replace")):
            if len(form.strip()) >= _LEAST:
                yield form
