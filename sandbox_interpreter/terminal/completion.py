"""What Tab offers at the prompt: commands, what may follow them, and paths.

Names of files come from whoever wrote them, a cloned repository or code in the sandbox among them. They are offered as
they are, since only so they name their files, and shown with every control character replaced.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from sandbox_interpreter.terminal.escape import reveal

if TYPE_CHECKING:
    from sandbox_interpreter.magics import Magic

_MOST_ENTRIES = 20_000
"""Entries of a folder that are looked at: some 20 ms."""
_MOST = 300
"""Completions that are offered; who has more types on."""
_COMMAND = re.compile(r"\s*%(?:(?P<shell>%)\s*|(?P<name>\w+)\s+)(?P<argument>.*)", re.DOTALL)
_BEGUN = re.compile(r"\s*(%%|%\w*|)")
_WORD = re.compile(r"""(?:[^\s\\"']|\\.?|"[^"]*"?|'[^']*'?)+|\s+""", re.DOTALL)
"""A word as a shell takes it, or the blanks between two."""
_BARE_WORD = re.compile(r"(?:\\.|[^\s\\])*\Z", re.DOTALL)
"""The last word of prose, where an apostrophe opens nothing."""
_SPECIAL = re.compile(r"([^\w@%+=:,./~-])")
_ON_HOST = ("PATH", "FILE", "FOLDER")
_IN_WORKSPACE = ("PATTERN", "COMMAND")
"""Words in a command's usage that stand for files of the host, and for files of the sandbox."""


class PromptCompleter(Completer):
    """Completes what is typed at the prompt. ``workspace`` tells the host's folder of the sandbox's files, if any."""

    def __init__(self, workspace: Callable[[], Path | None]) -> None:
        self._workspace = workspace

    def get_completions(self, document: Document, _: CompleteEvent) -> Iterator[Completion]:
        """Yield what the text before the cursor may become."""
        text = document.text_before_cursor
        with suppress(OSError, ValueError, RuntimeError):  # folders that cannot be read, no names at all, ~nobody
            yield from islice(self._found(text), _MOST)

    def _found(self, text: str) -> Iterable[Completion]:
        from sandbox_interpreter import magics  # by the first Tab it is loaded

        if (begun := _BEGUN.fullmatch(text)) is not None:
            return _commands(begun[1], magics.every())
        match = _COMMAND.fullmatch(text)
        magic = magics.find(match["shell"] or match["name"]) if match else None
        if match is None or magic is None:
            bare = _BARE_WORD.search(text)
            typed = bare[0] if bare else ""
            return _paths(_Word(typed, re.sub(r"\\(.)", r"\1", typed)), Path())
        return self._arguments(magic, match["argument"])

    def _arguments(self, magic: Magic, argument: str) -> Iterable[Completion]:
        wanted = [word.strip("[]") for word in magic.argument.split()]
        if not wanted:
            return ()
        if wanted == ["PATH"]:  # all that follows is the path, blanks and all
            return _paths(_Word(argument, argument.lstrip("\"'"), shell=False), Path())
        word = _Word.of(argument)
        place = len(_words(argument[:len(argument) - len(word.typed)]))
        kind = wanted[place] if place < len(wanted) else "COMMAND" if wanted == ["COMMAND"] else ""
        if kind in _IN_WORKSPACE:
            workspace = self._workspace()
            return _paths(word, workspace, inside=True) if workspace else ()
        if kind in _ON_HOST:
            return _paths(word, Path())
        choices = kind.split("|") if "|" in kind else []
        return (Completion(value, -len(word.typed)) for value in choices if value.startswith(word.typed))


@dataclass(frozen=True)
class _Word:
    """The word before the cursor, as it is ``typed``, and its ``value`` without quotation marks and backslashes.

    ``shell``: it is one of several words, so that a blank in it has to be escaped.
    """

    typed: str
    value: str
    shell: bool = True

    @classmethod
    def of(cls, text: str) -> _Word:
        typed = next(reversed(_WORD.findall(text)), "").lstrip()
        return cls(typed, "".join(_words(typed)))

    def followed_by(self, name: str, typed: str, path: str) -> Completion:
        """Return the completion to ``path``; ``name`` is its last part, of which ``typed`` is there already."""
        if not self.shell:
            text = path
        elif _escaped(self.value) == self.typed or self.typed == self.value:
            text = self.typed + _escaped(name[len(typed):])
        else:
            text = _escaped(path)
        return Completion(text, -len(self.typed), display=_shown(name))


def _commands(begun: str, every: Iterable[Magic]) -> Iterator[Completion]:
    for magic in every:
        name = f"%{magic.name}"
        if name.startswith(begun.lower()):
            yield Completion(name, -len(begun), display=magic.usage, display_meta=magic.purpose)


def _paths(word: _Word, base: Path, *, inside: bool = False) -> Iterator[Completion]:
    """Yield the paths that ``word`` may become, relative to ``base``; with ``inside``, none outside of it."""
    folder, slash, begun = word.value.rpartition("/")
    place = base / (Path(f"{folder}{slash}") if inside else Path(f"{folder}{slash}").expanduser())
    if inside and not place.resolve().is_relative_to(base.resolve()):
        return
    for name in sorted(_names(place, begun, follow=not inside)):
        yield word.followed_by(name, begun, f"{folder}{slash}{name}")


def _names(folder: Path, begun: str, *, follow: bool) -> Iterator[str]:
    """Yield the names in ``folder`` that begin so, folders with a slash; hidden ones once their dot is typed."""
    with os.scandir(folder) as entries:
        for entry in islice(entries, _MOST_ENTRIES):
            if not entry.name.startswith(begun) or (entry.name.startswith(".") and not begun):
                continue
            if not any("\ud800" <= character <= "\udfff" for character in entry.name):  # no text could name it
                yield f"{entry.name}/" if entry.is_dir(follow_symlinks=follow) else entry.name


def _words(text: str) -> list[str]:
    """Return the words of ``text`` as a shell takes them; a quotation mark that is open is closed."""
    for end in ("", "\"", "'"):
        with suppress(ValueError):
            return shlex.split(text + end)
    return [text]


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _shown(name: str) -> str:
    return reveal(name).replace("\n", "␊").replace("\t", "␉")
