"""A model's prose on the screen: Markdown that is rendered as it streams, each paragraph once it is finished, for good.

Only the last block of the text (a paragraph, a list's last item, a table) is rendered again as it grows.
"""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement, Paragraph
from rich.syntax import Syntax
from rich.text import Text
from rich.theme import Theme

from sandbox_interpreter.terminal.escape import STYLE, reveal
from sandbox_interpreter.terminal.rows import Drawn, join, rows_of

_THEME = Theme({"markdown.code": "bold cyan", "markdown.h1": "bold underline", "markdown.h2": "bold",
                "markdown.h3": "bold", "markdown.h4": "bold dim", "markdown.item.bullet": "cyan"})


class _LeftHeading(Heading):
    """A heading at the left margin; the library centres it in a box."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text


class _Code(CodeBlock):
    """A code block without the blank rows that the library puts around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Syntax(str(self.text).rstrip(), self.lexer_name, theme=self.theme, word_wrap=True)


class SafeMarkdown(Markdown):
    """Markdown from someone who is not trusted: HTML is shown as text, links show where they go, nothing is hidden."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements, "heading_open": _LeftHeading, "html_block": Paragraph,
        "fence": _Code, "code_block": _Code}

    def __init__(self, source: str) -> None:
        super().__init__(source, hyperlinks=False)
        for token in self.parsed:
            for part in (token, *(token.children or ())):
                part.content = reveal(part.content)  # once more: `&#x202e;` is a control character only now
                if part.type == "html_inline":
                    part.type = "text"

    def last_block(self) -> tuple[int, bool]:
        """Return the line on which the last block begins, and whether it continues a list that began before."""
        start, continues, in_list = 0, False, False
        for token in self.parsed:
            if token.map is None or token.nesting < 0:
                continue
            if token.level == 0:
                start, continues = token.map[0], False
                in_list = token.type in ("bullet_list_open", "ordered_list_open")
            elif token.level == 1 and in_list and token.type == "list_item_open" and token.map[0] > start:
                start, continues = token.map[0], True
        return start, continues


class Prose:
    """A block of prose."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._source = ""  # the blocks that are not final
        self._gap = False  # a blank row belongs before them
        self._final = 0  # rows of them that are final all the same, since they do not fit

    def feed(self, text: str) -> None:
        """Take Markdown."""
        self._source += reveal(text)

    def draw(self, width: int, height: int) -> Drawn:
        """Return the blocks before the last one as final, the last as rows."""
        above = self._settle(width)
        rows = self._rows(self._source, width)
        excess = max(0, len(rows) - height)
        self._final += excess
        return Drawn(above + join(rows[:excess]), rows[excess:])

    def close(self, width: int) -> str:
        """Return what is left."""
        above = self._settle(width)
        rest, self._source = self._rows(self._source, width), ""
        return above + join(rest)

    def _settle(self, width: int) -> str:
        line, continues = SafeMarkdown(self._source).last_block()
        if not line:
            return ""
        lines = self._source.splitlines(keepends=True)
        rows = self._rows("".join(lines[:line]), width)
        self._source, self._gap, self._final = "".join(lines[line:]), not continues, 0
        return join(rows)

    def _rows(self, source: str, width: int) -> list[str]:
        with self._console.use_theme(_THEME):
            rows = [row.rstrip() for row in rows_of(self._console, SafeMarkdown(source), width)]
            if not any(map(_is_visible, rows)):  # nested too deep for the parser, or nothing but a definition of a link
                rows = rows_of(self._console, Text(source.strip()), width) if source.strip() else []
        shown = [number for number, row in enumerate(rows) if _is_visible(row)]
        if not shown:
            return []
        gap = [""] if self._gap else []
        return [*gap, *rows[shown[0]:shown[-1] + 1]][self._final:]


def _is_visible(row: str) -> bool:
    return bool(STYLE.sub("", row).strip())
