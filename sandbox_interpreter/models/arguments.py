"""The JSON arguments of a tool call, read while they stream: a pure, incremental parser of one object's text fields.

It yields the pieces of each string value as they come, escapes resolved, however the text is cut. It is made for the
JSON that models write, so it also takes: unquoted keys and words, single quotes, raw newlines and unescaped quotes
inside a string, a nested object (whose fields count as its own), and anything at all behind the end. What no reading
makes sense of yields nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """A piece of the text value of ``key``; ``first`` where the value begins."""

    key: str
    text: str
    first: bool = False


_NEXT_KEY = re.compile(r"""(?:"(?P<double>[^"\\]*)"|'(?P<single>[^'\\]*)'|(?P<bare>[A-Za-z_]\w*))\s*:\s*(?=\S)""")
# What follows the quote that ends a string. A quote before anything else was meant as part of the text.
_AFTER_STRING = re.compile(r"""\s*[,}][\s,{}]*("\w+"|'\w+'|[A-Za-z_]\w*)\s*:""")
_MAY_BE_AFTER_STRING = re.compile(r"""\s*([,}][\s,{}]*(["']?\w*["']?\s*)?)?|\s*\}[^"']*""")
_PLAIN = re.compile(r"""[^\\"']+""")
_WORD = re.compile(r"""[^\s,{}"']*""")
_END_OF_WORDS = re.compile(r"\s*\}?[\s)]*$")

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([^u]|u(?![0-9a-fA-F]{0,3}$)))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\", "/": "/"}
_UNKNOWN = "\ufffd"  # half a surrogate pair is no character


class ObjectReader:
    """Feed it the text of one object, from its brace on; ``finish`` takes what is there for all."""

    def __init__(self, *, bare_text: str = "code") -> None:
        self._bare_text = bare_text  # the field that takes all the rest where its value has no quotes
        self._text = ""
        self._key = ""
        self._quote = ""
        self._high = ""  # the first half of a surrogate pair, in hexadecimal
        self._step: Callable[[], list[Field] | None] = self._read_key

    def feed(self, text: str) -> Iterator[Field]:
        """Yield what ``text`` adds to the fields, one piece for each."""
        self._text += text
        found: list[Field] = []
        while (more := self._step()) is not None:
            found += more
        yield from _joined(found)

    def finish(self) -> Iterator[Field]:
        """Yield what was held back because more text might have changed its meaning."""
        if self._step == self._read_words:
            yield Field(self._key, _END_OF_WORDS.sub("", self._text), first=True)
        elif self._high:
            yield Field(self._key, _UNKNOWN)
        self._text = self._high = ""

    # Each step takes what it can from the text and returns the fields' pieces in it; None asks for more text.

    def _read_key(self) -> list[Field] | None:
        match = _NEXT_KEY.search(self._text)
        if match is None:
            return None
        self._key = match["double"] or match["single"] or match["bare"] or ""
        self._take(match.end())
        if self._text[0] in "\"'":
            self._quote = self._take(1)
            self._step = self._read_string
            return [Field(self._key, "", first=True)]
        if self._text[0] != "{":  # the fields of a nested object come next
            self._step = self._read_words if self._key == self._bare_text else self._read_word
        return []

    def _read_word(self) -> list[Field] | None:
        match = _WORD.match(self._text)
        assert match is not None
        if match.end() == len(self._text):
            return None
        self._step = self._read_key
        return [Field(self._key, self._take(match.end()), first=True)]

    def _read_words(self) -> list[Field] | None:
        return None  # where unquoted code ends is known when all of it is there

    def _read_string(self) -> list[Field] | None:
        if plain := _PLAIN.match(self._text):
            return [Field(self._key, self._lone_half() + self._take(plain.end()))]
        if self._text.startswith("\\"):
            return self._read_escape()
        if not self._text or (self._text[0] == self._quote and _MAY_BE_AFTER_STRING.fullmatch(self._text, 1)):
            return None
        if self._text[0] == self._quote and _AFTER_STRING.match(self._text, 1):
            self._step = self._read_key
            self._take(1)
            return [Field(self._key, self._lone_half())]
        return [Field(self._key, self._lone_half() + self._take(1))]

    def _read_escape(self) -> list[Field] | None:
        match = _ESCAPE.match(self._text)
        if match is None:
            return None
        self._take(match.end())
        unit, other = match.groups()
        if other:
            return [Field(self._key, self._lone_half() + _ESCAPED.get(other, "\\" + other))]
        return [Field(self._key, self._unit(unit))]

    def _unit(self, unit: str) -> str:
        """Return the text that one more UTF-16 code unit completes."""
        number = int(unit, 16)
        if 0xDC00 <= number < 0xE000 and self._high:
            high, self._high = int(self._high, 16), ""
            return chr(0x10000 + ((high - 0xD800) << 10) + (number - 0xDC00))
        before = self._lone_half()
        if 0xD800 <= number < 0xDC00:
            self._high = unit
            return before
        return before + (_UNKNOWN if 0xDC00 <= number < 0xE000 else chr(number))

    def _lone_half(self) -> str:
        lone, self._high = self._high, ""
        return _UNKNOWN if lone else ""

    def _take(self, count: int) -> str:
        taken, self._text = self._text[:count], self._text[count:]
        return taken


def _joined(fields: list[Field]) -> Iterator[Field]:
    """Yield the same with neighbouring pieces of one value made one, and without empty ones in a value's middle."""
    joined: list[Field] = []
    for field in fields:
        if joined and joined[-1].key == field.key and not field.first:
            joined[-1] = Field(field.key, joined[-1].text + field.text, joined[-1].first)
        elif field.text or field.first:
            joined.append(field)
    return iter(joined)


def read_object(text: str) -> dict[str, str]:
    """Return the text fields of an object that is all there."""
    reader = ObjectReader()
    fields: dict[str, str] = {}
    for field in (*reader.feed(text), *reader.finish()):
        fields[field.key] = fields.get(field.key, "") + field.text
    return fields
