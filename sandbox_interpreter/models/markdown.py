"""Fenced code blocks, found in prose while it streams: a pure, incremental parser.

How the text is cut into pieces makes no difference to what comes out (a property test holds that). The rules are
CommonMark's (section 4.5, fenced code blocks): a fence is three or more backticks or tildes on a line of their own;
the closing fence is of the same character and at least as long; the opening fence's indentation is taken off every
line. Where models break them, this parser follows the models:

- any indentation opens a block, since models put blocks into lists;
- a fence behind prose opens a block if a language and nothing else follows on its line (``Run: ```python``);
- a block that the answer ends without closing is whole, also where its closing fence is glued to the last line.

A block without a language is Python, as in Open Interpreter. A block of a data format (json, text, …) is something
to read, not to run, and stays prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox_interpreter.models.base import CodeDelta, CodeEnd, TextDelta

FenceEvent = TextDelta | CodeDelta | CodeEnd

DEFAULT_LANGUAGE = "python"
TO_READ = frozenset({"text", "txt", "plaintext", "plain", "output", "json", "yaml", "yml", "toml", "ini", "csv", "tsv",
                     "xml", "markdown", "md", "diff", "log", "math", "latex", "mermaid"})
"""Languages of blocks that are shown and never run."""

_PIECE_OF_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_OPENING = re.compile(r"([ \t]*)(`{3,}(?=[^`\n]*$)|~{3,})([^\n]*)")
_MAY_OPEN = re.compile(r"[ \t]*(`{0,2}|~{0,2}|`{3,}[^`\n]*|~{3,}[^\n]*)")
_GLUED = re.compile(r"(?<!`)(`{3,})([A-Za-z][\w+#.-]*)[ \t\r]*\n$")
_MAY_BE_GLUED = re.compile(r"(?<!`)(`{1,2}|`{3,}([A-Za-z][\w+#.-]*[ \t\r]*)?)$")
_LANGUAGE = re.compile(r"[\s{.]*([^\s{}:,=]*)")
_CLOSING_INDENT = 3  # CommonMark: a closing fence may stand up to three spaces further in
_BLANK = " \t\r"


@dataclass(frozen=True)
class _Fence:
    """An open block: its fence, its indentation, and the language that was named."""

    mark: str
    indent: int
    language: str

    @property
    def runs(self) -> bool:
        return self.language.lower() not in TO_READ

    def closes(self, line: str) -> bool:
        body = line.strip(_BLANK)
        inside = len(line) - len(line.lstrip(" \t")) - self.indent
        return len(body) >= len(self.mark) and not body.strip(self.mark[0]) and inside <= _CLOSING_INDENT

    def may_close(self, line: str) -> bool:
        return not line.strip(_BLANK + self.mark[0])

    def without_indent(self, line: str) -> str:
        return line[:self.indent].lstrip(" \t") + line[self.indent:]


class FenceParser:
    """Feed it text; it yields prose and code. ``finish`` ends the answer."""

    def __init__(self) -> None:
        self._fence: _Fence | None = None
        self._held = ""  # what of the current line cannot be judged yet
        self._passing = False  # whether the current line's beginning has been judged and passed on
        self._pending = ""  # what belongs to the code only if more of it follows: a newline, or a run of fence marks
        self._begun = False  # whether anything of the open block was passed on

    @property
    def in_block(self) -> bool:
        """Tell whether a block is open."""
        return self._fence is not None

    def feed(self, text: str) -> Iterator[FenceEvent]:
        """Yield what ``text`` adds."""
        for piece in _PIECE_OF_LINE.findall(text):
            line, self._held = self._held + piece, ""
            if self._fence is None:
                yield from self._prose(line)
            elif self._fence.runs:
                yield from self._code(self._fence, line)
            else:
                yield from self._reading(self._fence, line)

    def finish(self) -> Iterator[FenceEvent]:
        """Yield what was held back, and the end of a block that is still open."""
        line, self._held = self._held, ""
        if self._fence is None or not self._fence.runs:
            if line:
                yield TextDelta(line)
        else:
            # A line that may close the block is its closing fence, or what there is of it.
            if self._passing and len(line.strip(_BLANK)) < len(self._fence.mark):
                yield from self._write(self._fence, line)
            yield from self._close(self._fence, at_fence=not self._passing and self._fence.closes(line))
        self._fence = None

    # --- outside of blocks ---

    def _prose(self, line: str) -> Iterator[FenceEvent]:
        whole = line.endswith("\n")
        if not self._passing:
            if whole and (opening := _OPENING.fullmatch(line[:-1])):
                indent, mark, info = opening.groups()
                yield from self._open(_Fence(mark, len(indent), _language(info)), line)
                return
            if not whole and _MAY_OPEN.fullmatch(line):
                self._held = line
                return
        if glued := _GLUED.search(line):
            yield from _text(line[:glued.start()])
            yield from self._open(_Fence(glued[1], 0, _language(glued[2])), glued[0])
            return
        tail = _MAY_BE_GLUED.search(line)
        end = len(line) if whole or tail is None else tail.start()
        self._held = line[end:]
        self._passing = not whole
        yield from _text(line[:end])

    def _open(self, fence: _Fence, line: str) -> Iterator[FenceEvent]:
        self._fence, self._passing, self._pending, self._begun = fence, False, "", False
        if not fence.runs:
            yield TextDelta(line)

    # --- inside of blocks ---

    def _code(self, fence: _Fence, line: str) -> Iterator[FenceEvent]:
        whole = line.endswith("\n")
        if not self._passing:
            if whole and fence.closes(line[:-1]):
                yield from self._close(fence, at_fence=True)
                return
            if not whole and fence.may_close(line):
                self._held = line
                return
            line = fence.without_indent(line)
        # Marks at a line's end may turn out to be the closing fence, glued to the code, at the answer's end.
        body = line.removesuffix("\n")
        end = len(body.rstrip(_BLANK).rstrip(fence.mark[0]))
        run = len(body[end:].rstrip(_BLANK))
        if not run or (whole and run < len(fence.mark)):
            end = len(body)
        yield from self._write(fence, body[:end], begins=not self._passing)
        self._passing = not whole
        if whole:
            self._pending = line[end:]
        else:
            self._held = line[end:]

    def _write(self, fence: _Fence, code: str, *, begins: bool = False) -> Iterator[FenceEvent]:
        if code or begins:
            code, self._pending = self._pending + code, ""
        if code:
            self._begun = True
            yield CodeDelta(fence.language or DEFAULT_LANGUAGE, code)

    def _close(self, fence: _Fence, *, at_fence: bool) -> Iterator[FenceEvent]:
        if at_fence:  # then marks at the end of the line before were code after all; the newline is the fence's
            marks, self._pending = self._pending.removesuffix("\n"), ""
            yield from self._write(fence, marks)
        self._fence, self._passing = None, False
        if self._begun:
            yield CodeEnd()

    def _reading(self, fence: _Fence, line: str) -> Iterator[FenceEvent]:
        whole = line.endswith("\n")
        if not self._passing and not whole and fence.may_close(line):
            self._held = line
            return
        if whole and not self._passing and fence.closes(line[:-1]):
            self._fence = None
        self._passing = not whole
        yield TextDelta(line)


def _text(text: str) -> Iterator[FenceEvent]:
    if text:
        yield TextDelta(text)


def _language(info: str) -> str:
    """Return the language that an info string names: ``python``, ``{.python}``, ``python title=x``; ``c++`` stays."""
    match = _LANGUAGE.match(info)
    return match[1] if match else ""
