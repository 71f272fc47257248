"""A settings file in YAML as entries with line numbers.

YAML's own types are not used: a value stays the text that was written and gets the type of its setting later, by the
rules that flags and variables follow too. So ``safe_mode: off`` says off, ``timeout: 1:30`` is an error and not 90, and
nothing in a file can ask for an object to be made. Files are small, flat and without aliases, so reading is bounded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sandbox_interpreter.config.folders import shown
from sandbox_interpreter.errors import ConfigError

MOST_BYTES = 64 * 1024
"""Of a settings file, a long system message included; the parser takes about a second for as much of the worst."""
MOST_DEPTH = 8
"""Of lists and maps in each other; settings need three."""
GROUPS = ("llm", "computer")
"""Maps that Open Interpreter puts settings into; their keys are read as ``llm.model``."""

Value = str | list["Value"] | dict[str, "Value"] | None

_TAG = "tag:yaml.org,2002:"
NULL = _TAG + "null"
TAGS = {_TAG + name for name in ("null", "bool", "int", "float", "str", "timestamp", "merge", "value", "seq", "map")}


@dataclass(frozen=True)
class Entry:
    """One ``key: value`` of a file, and its line, counted from 1."""

    key: str
    value: Value
    line: int


def read_bytes(path: Path, *, follow: bool = True) -> bytes:
    """Return what a settings file holds. Without ``follow``, a symbolic link is no settings file.

    Raises ConfigError: it cannot be read, is no plain file, or is too large.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)  # non-blocking: a pipe must not hold anybody up
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unreadable(path, "it is not a plain file")
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        link = not follow and path.is_symlink()
        reason = "it is a symbolic link" if link else getattr(error, "strerror", None) or str(error)
        raise _unreadable(path, reason) from None
    if len(data) > MOST_BYTES:
        raise _unreadable(path, f"it has more than {MOST_BYTES // 1024} KiB")
    return data


def entries(data: bytes, path: Path) -> Iterator[Entry | ConfigError]:
    """Yield every entry of a file, and an error in the place of each that cannot be taken.

    ``path`` is only named. Raises ConfigError where the whole is not YAML, or no map.
    """
    root = compose(data, path)
    if root is None or root.tag == NULL:
        return
    if not isinstance(root, MappingNode):
        raise ConfigError(f"{place(path, root)}: here must be `name: value` lines.",
                          next_step="See the settings: sbi config show")
    lines: dict[str, int] = {}
    for key, node, line in _pairs(root, path):
        if key in lines:
            yield ConfigError(f"{shown(path)}:{line}: {key!r} stands in line {lines[key]} already.",
                              next_step="Take one of them away.")
            continue
        lines[key] = line
        try:
            yield Entry(key, value(node, path), line)
        except ConfigError as error:
            yield error


class _Composer(yaml.SafeLoader):
    """Makes nodes, of bounded depth and without aliases: a few of those can stand for billions of values."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            self._refuse("too many lists and maps in each other")
        if self.check_event(yaml.AliasEvent):
            self._refuse("aliases are not taken here")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def _refuse(self, why: str) -> NoReturn:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs say nothing of it
        raise _Refused(None, None, why, mark)


class _Refused(yaml.MarkedYAMLError):
    """It is YAML, and still not taken."""


def compose(data: bytes, path: Path, *, columns: bool = False) -> Node | None:
    """Return the nodes of a file, with their places; None for an empty one. ``columns``: errors name the column, too.

    Raises ConfigError that names the place: it is not YAML, or more than a file of ours needs.
    """
    line = column = 0
    try:
        text = data.decode("utf-8-sig")
        return _Composer(text).get_single_node()
    except UnicodeDecodeError as error:
        line, reason = data.count(b"\n", 0, error.start), "this is not UTF-8 text"
    except yaml.reader.ReaderError as error:
        line, reason = text.count("\n", 0, error.position), f"YAML has no character U+{error.character:04X}"
    except yaml.MarkedYAMLError as error:
        if error.problem_mark:
            line, column = error.problem_mark.line, error.problem_mark.column
        reason = ("" if isinstance(error, _Refused) else "this is not YAML: ") + str(error.problem or error.context)
    at = f":{column + 1}" if columns else ""
    raise ConfigError(f"{shown(path)}:{line + 1}{at}: {reason}.", next_step=f"Mend it: {shown(path)}")


def _pairs(node: MappingNode, path: Path, prefix: str = "") -> Iterator[tuple[str, Node, int]]:
    for key, value in node.value:
        name = prefix + key.value if isinstance(key, ScalarNode) else ""
        if name in GROUPS and isinstance(value, MappingNode):
            yield from _pairs(value, path, f"{name}.")
        else:
            yield name, value, key.start_mark.line + 1


def value(node: Node, path: Path, *, columns: bool = False) -> Value:
    """Return what a node holds, its texts as they are written. Raises ConfigError for a tag or a name that is no text.

    ``columns``: errors name the column, too.
    """
    if node.tag not in TAGS:
        raise ConfigError(f"{place(path, node, columns=columns)}: tags like {node.tag!r} are not taken here.",
                          next_step="Write the value alone.")
    if isinstance(node, SequenceNode):
        return [value(item, path, columns=columns) for item in node.value]
    if isinstance(node, MappingNode):
        return {_name(key, path, columns=columns): value(item, path, columns=columns) for key, item in node.value}
    text: str = node.value
    return None if node.tag == NULL else text


def _name(node: Node, path: Path, *, columns: bool) -> str:
    if not isinstance(node, ScalarNode):
        raise ConfigError(f"{place(path, node, columns=columns)}: a name is a text.",
                          next_step="Write it like this: NAME: value")
    return str(node.value)


def place(path: Path, node: Node, *, columns: bool = False) -> str:
    """Return where a node begins: ``FILE:LINE``, and with ``columns`` ``FILE:LINE:COLUMN``, both counted from 1."""
    column = f":{node.start_mark.column + 1}" if columns else ""
    return f"{shown(path)}:{node.start_mark.line + 1}{column}"


def _unreadable(path: Path, reason: str) -> ConfigError:
    return ConfigError(f"Cannot read {shown(path)}: {reason}.", next_step="Mend it, or see: sbi config path")
