"""A task's file, in YAML, as a Task. Every mistake in it is told at once, with file, line and column."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sandbox_interpreter import config, languages
from sandbox_interpreter.config import yaml_file
from sandbox_interpreter.config.conversion import did_you_mean
from sandbox_interpreter.errors import ConfigError, SandboxInterpreterError
from sandbox_interpreter.sandbox.names import check_pattern
from sandbox_interpreter.tasks.inputs import check_source, check_target
from sandbox_interpreter.tasks.record import CHECK_KEYS, INPUT_KEYS, KEYS, SETTINGS, SPECS, Check, Input, Task
from sandbox_interpreter.values import Spelling, as_type, said

_SEE = "See docs/tasks.md, or let your editor check it: sbi task --schema"
_TYPES: Mapping[str, type] = {"str": str, "int": int, "float": float}
_MOST_NAME = 200
T = TypeVar("T")


def read(path: Path, name: str) -> Task:
    """Return the task in the file at ``path``, called ``name`` unless it says otherwise.

    Raises ConfigError that tells every mistake, each with its place.
    """
    try:
        data = yaml_file.read_bytes(path)
    except ConfigError as error:
        raise ConfigError(str(error), next_step="Name task files, or folders of them: sbi task tests/") from None
    return parse(data, path, name)


def parse(data: bytes, path: Path, name: str) -> Task:
    """Return the task that ``data`` describes; ``path`` is where its inputs are. Raises as ``read``."""
    root = yaml_file.compose(data, path, columns=True)
    if not isinstance(root, MappingNode):
        where = yaml_file.place(path, root, columns=True) if root else f"{path}:1:1"
        raise ConfigError(f"{where}: a task is a map with `prompt:` or `code:` in it.", next_step=_SEE)
    reader = _Reader(path)
    task = reader.task(root, name)
    config.refuse(reader.problems)
    return task


class _Reader:
    """Reads the nodes of one file, and keeps what is wrong with them in ``problems``."""

    def __init__(self, path: Path) -> None:
        self.problems: list[ConfigError] = []
        self._path = path

    def task(self, root: MappingNode, name: str) -> Task:
        """Return the task, as far as it can be read."""
        found = self._pairs(root, [*KEYS, *SETTINGS])
        own: dict[str, Any] = {"name": name}
        settings: dict[str, Any] = {}
        for key, node in found.items():
            if key in SETTINGS:
                self._setting(key, node, settings)
            elif (value := self._value(key, node)) is not None:
                own[key] = value
        if self._is_empty(found, "prompt") == self._is_empty(found, "code"):
            self._complain(root, "a task has either `prompt:` or `code:`, and not both.", _SEE)
        if "isolation" in found and own.get("isolation") == "cell" and "prompt" in found:
            self._complain(found["isolation"], "isolation: cell is for code, not for a prompt.", _SEE)
        return Task(file=self._path, settings=settings, **own)

    def _is_empty(self, found: Mapping[str, Node], key: str) -> bool:
        return key not in found or not str(found[key].value).strip()

    # --- maps, lists and texts ---

    def _pairs(self, node: Node, known: Collection[str]) -> dict[str, Node]:
        """Return the entries of a map by their names, without those that cannot be."""
        found: dict[str, Node] = {}
        if not isinstance(node, MappingNode):
            self._complain(node, f"here must be a map of {', '.join(known)}.", _SEE)
            return found
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            if name not in known:
                hint = did_you_mean(name, known) or f"Known: {', '.join(known)}"
                self._complain(key, f"unknown key {said(name)}.", hint)
            elif name in found:
                self._complain(key, f"{name!r} stands here a second time.", "Take one of them away.")
            else:
                found[name] = value
        return found

    def _items(self, node: Node) -> list[Node]:
        """Return the items of a list; one value alone is a list of one."""
        return list(node.value) if isinstance(node, SequenceNode) else [node]

    def _text(self, node: Node, key: str) -> str:
        """Return a text that is not empty; "" after a complaint."""
        if isinstance(node, ScalarNode) and node.tag in yaml_file.TAGS and node.tag != yaml_file.NULL and node.value:
            return str(node.value)
        self._complain(node, f"{key}: here must be a text.", _SEE)
        return ""

    def _complain(self, node: Node, what: str, next_step: str) -> None:
        self.problems.append(ConfigError(f"{self._place(node)}: {what}", next_step=next_step))

    def _place(self, node: Node) -> str:
        return yaml_file.place(self._path, node, columns=True)

    # --- values ---

    def _setting(self, key: str, node: Node, settings: dict[str, Any]) -> None:
        name = SETTINGS[key]
        try:
            value = yaml_file.value(node, self._path, columns=True)
            settings[name] = config.convert(name, value, spelling=Spelling(key, ": "), place=f"{self._place(node)}: ")
        except ConfigError as error:
            self.problems.append(error)

    def _value(self, key: str, node: Node) -> Any:
        """Return the value of a key that is no setting; None after a complaint."""
        match key:
            case "inputs":
                return self._each(key, node, self._input)
            case "checks":
                return self._each(key, node, self._check)
            case "artifacts":
                return self._each(key, node, lambda item: check_pattern(self._text(item, key) or "*"))
            case "languages":
                return self._each(key, node, lambda item: languages.find(self._text(item, key) or "python").name)
        return next(iter(self._each(key, node, lambda _: self._plain(key, node), alone=True)), None)

    def _each(self, key: str, node: Node, read: Callable[[Node], T], *, alone: bool = False) -> tuple[T, ...]:
        """Return what ``read`` makes of the items of a list, or of one value alone; those that it refuses are told."""
        found: list[T] = []
        for item in [node] if alone else self._items(node):
            try:
                found.append(read(item))
            except ConfigError as error:
                self.problems.append(error)
            except (SandboxInterpreterError, ValueError) as error:
                step = getattr(error, "next_step", "") or f"For example: {key}: {SPECS[key].example}"
                self._complain(item, f"{key}: {str(error).rstrip('.')}.", step)
        return tuple(found)

    def _plain(self, key: str, node: Node) -> Any:
        if isinstance(node, SequenceNode | MappingNode):
            raise ValueError("here must be a single value")
        text = yaml_file.value(node, self._path, columns=True) or ""
        value = as_type(_TYPES[str(KEYS[key].type)], text)
        SPECS[key].check(value)
        if key == "language":
            return languages.find(value).name
        if key == "name" and (len(value) > _MOST_NAME or not value.isprintable()):
            raise ValueError(f"{said(value)} is no name; it has one line")
        return value

    def _input(self, node: Node) -> Input:
        if not isinstance(node, MappingNode):
            return Input(check_source(self._text(node, "inputs") or "*"))
        found = self._pairs(node, INPUT_KEYS)
        if "from" not in found:
            self._complain(node, "inputs: `from:` is missing.", _SEE)
        source = self._text(found["from"], "from") if "from" in found else ""
        return Input(check_source(source or "*"), check_target(self._text(found["to"], "to")) if "to" in found else "")

    def _check(self, node: Node) -> Check:
        if not isinstance(node, MappingNode):
            command = self._text(node, "checks")
            return Check(_title(command), "shell", command)
        found = self._pairs(node, CHECK_KEYS)
        if ("run" in found) == ("code" in found):
            self._complain(node, "checks: a check has either `run:` (a shell command) or `code:`.", _SEE)
        if "run" in found and "language" in found:
            self._complain(found["language"], "checks: `run:` is a shell command; a language goes with `code:`.", _SEE)
        body = found.get("run") or found.get("code")
        code = self._text(body, "run" if "run" in found else "code") if body else ""
        named = self._text(found["language"], "language") if "language" in found else ""
        title = self._text(found["name"], "name") if "name" in found else _title(code) or "check"
        return Check(title, "shell" if "run" in found else languages.find(named or "python").name, code)


def _title(code: str) -> str:
    """Return the first line of a program, cut, as the name of a check that has none."""
    first = next((line.strip() for line in code.splitlines() if line.strip()), "")
    return first if len(first) <= 60 else f"{first[:59]}…"
