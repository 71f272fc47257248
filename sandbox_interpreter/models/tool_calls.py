"""The one tool, and its calls as they stream in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sandbox_interpreter import languages
from sandbox_interpreter.errors import UnknownLanguage
from sandbox_interpreter.models.arguments import Field, ObjectReader
from sandbox_interpreter.models.base import CodeDelta
from sandbox_interpreter.models.markdown import DEFAULT_LANGUAGE

NAME = "execute"


def tool() -> dict[str, Any]:
    """Return the tool's description in the OpenAI form."""
    known = [language.name for language in languages.LANGUAGES]
    return {"type": "function", "function": {
        "name": NAME,
        "description": "Run code in the sandbox and return its output. Variables, files and the working directory "
                       "stay from one call to the next.",
        "parameters": {
            "type": "object",
            "properties": {
                "language": {"type": "string", "enum": known, "description": "The language of the code."},
                "code": {"type": "string", "description": "The code, whole."},
            },
            "required": ["language", "code"],
        },
    }}


class ToolCall:
    """One call: feed it the pieces of its arguments; it yields the code in them.

    The arguments are a JSON object as a rule. A model that calls a tool named ``python`` often sends bare code.
    """

    def __init__(self, name: str) -> None:
        self._tool_language = _language_named(name)
        self._language = ""
        self._raw = ""
        self._code = ""  # held back until the language is known
        self._reader: ObjectReader | None = None
        self._bare = False
        self._begun = False
        self._fields: set[str] = set()

    @property
    def whole(self) -> bool:
        """Tell whether the arguments could end here: bare code always could, JSON where it is valid."""
        if self._bare:
            return True
        try:
            json.loads(self._raw)
        except ValueError:
            return False
        return True

    def feed(self, arguments: str) -> Iterator[CodeDelta]:
        """Yield the code that these further characters of the arguments bring."""
        self._raw += arguments
        if not (self._reader or self._bare):
            begin = self._raw.lstrip()
            if begin.startswith("{"):
                self._reader, arguments = ObjectReader(), begin
            elif begin and not begin.startswith('"'):
                self._bare, self._language, arguments = True, self._tool_language or DEFAULT_LANGUAGE, begin
        if self._reader:
            for field in self._reader.feed(arguments):
                yield from self._take(field)
        elif self._bare:
            yield from self._write(arguments)

    def finish(self) -> Iterator[CodeDelta]:
        """Yield the rest of the code; at least one piece in all, so that an empty call is a block too."""
        if self._reader:
            for field in self._reader.finish():
                yield from self._take(field)
            if not self._fields and self._tool_language:  # `{1, 2}` sent to a tool named python is a set
                self._code = self._raw
        elif not self._bare:
            self._code = _text_of(self._raw)
        if self._code or not self._begun:
            yield CodeDelta(self._language or self._tool_language or DEFAULT_LANGUAGE, self._code)

    def _take(self, field: Field) -> Iterator[CodeDelta]:
        if field.key == "language":
            self._language = field.text if field.first else self._language + field.text
        elif field.key == "code":
            # Two objects in one call, as some servers join two calls: their code follows upon each other.
            again = field.first and "code" in self._fields
            yield from self._write("\n" * again + field.text)
        if field.key in ("language", "code"):
            self._fields.add(field.key)

    def _write(self, code: str) -> Iterator[CodeDelta]:
        self._code += code
        # A language that has begun is whole by the time that code comes.
        if self._code and (language := self._language or self._tool_language):
            code, self._code, self._begun = self._code, "", True
            yield CodeDelta(language, code)


def _language_named(tool: str) -> str | None:
    """Return the language that a tool's name means, such as ``python`` or ``functions.bash``; None for others."""
    try:
        return languages.find(tool.rpartition(".")[2]).name
    except UnknownLanguage:
        return None


def _text_of(raw: str) -> str:
    """Return what a JSON string says; anything else as it is."""
    try:
        value = json.loads(raw)
    except ValueError:
        return raw
    return value if isinstance(value, str) else raw
