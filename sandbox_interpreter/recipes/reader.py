"""A team's file, in YAML, as a Recipe. Every mistake in it is told at once, with file, line and column."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sandbox_interpreter import config
from sandbox_interpreter.catalogue import index
from sandbox_interpreter.config import yaml_file
from sandbox_interpreter.config.conversion import did_you_mean
from sandbox_interpreter.errors import ConfigError, SandboxInterpreterError
from sandbox_interpreter.recipes.record import NAME, PACKAGES, Recipe, check_target, check_variable
from sandbox_interpreter.sandbox.settle import TIGHTENABLE
from sandbox_interpreter.values import Spelling, said
from sandbox_interpreter.verification import secrets

_SEE = "See docs/team.md"
_KEYS = ("name", "from", *PACKAGES, "files", "env", "policy", "verify", "megabytes")
_NEEDS = {"pip": "python", "npm": "javascript"}
"""The language that an image has whose packages come from there."""
_MOST = 1000
"""Entries of a list or map."""


def read(path: Path) -> Recipe:
    """Return what the file at ``path`` says. Raises ConfigError that tells every mistake, each with its place."""
    root = yaml_file.compose(yaml_file.read_bytes(path, follow=False), path, columns=True)
    if not isinstance(root, MappingNode):
        where = yaml_file.place(path, root, columns=True) if root else f"{path}:1:1"
        raise ConfigError(f"{where}: a team's image is a map with `name:` in it.", next_step=_SEE)
    reader = _Reader(path)
    recipe = reader.recipe(root)
    config.refuse(reader.problems)
    return recipe


class _Reader:
    """Reads the nodes of one file, and keeps what is wrong with them in ``problems``."""

    def __init__(self, path: Path) -> None:
        self.problems: list[ConfigError] = []
        self._path = path

    def recipe(self, root: MappingNode) -> Recipe:
        """Return the recipe, as far as it can be read."""
        found = {key: node for key, (_, node) in self._pairs(root, _KEYS).items()}
        if "name" not in found:
            self._complain(root, "`name:` is missing.", "For example: name: registry.example/team/python:1")
        parent = self._one(found, "from", self._parent) or Recipe.parent
        values: dict[str, Any] = {"name": self._one(found, "name", NAME.check) or "", "parent": parent}
        for kind, form in PACKAGES.items():
            values[kind] = self._texts(found, kind, form.check)
            self._fits(found, kind, parent)
        values["verify"] = self._texts(found, "verify", str)
        values["files"] = self._map(found, "files", self._file)
        values["env"] = self._map(found, "env", self._variable)
        values["policy"] = self._map(found, "policy", self._limit, TIGHTENABLE)
        values["megabytes"] = self._one(found, "megabytes", _count)
        return Recipe(**values)

    # --- the values ---

    def _parent(self, name: str) -> str:
        return index.find(name).name

    def _fits(self, found: dict[str, Node], kind: str, parent: str) -> None:
        image = index.bundled().get(parent)
        has = kind != "pip" or (image and index.packages(image))
        if kind in found and image and (_NEEDS.get(kind, "shell") not in image.languages or not has):
            self._complain(found[kind], f"{kind}: the image {parent!r} has no {kind}.", "Choose another with `from:`.")

    def _file(self, target: str, source: str) -> str:
        check_target(target)
        if source.startswith(("/", "~")) or ".." in source.split("/"):
            raise ValueError(f"{source[:80]!a} leads out of this file's folder")
        return source

    def _variable(self, name: str, value: str) -> str:
        if found := next(secrets.in_variable(name, value), None):
            raise ValueError(f"{name} holds {found}; whoever has the image could read it")
        return check_variable(name, value)

    def _limit(self, name: str, value: str) -> str:
        if name == "network" and value != "none":
            raise ValueError("an image can take the network away (none), and give none")
        config.convert(name, value, spelling=Spelling(name, ": "))
        return value

    # --- maps, lists and texts ---

    def _pairs(self, node: Node, known: Collection[str] | None) -> dict[str, tuple[Node, Node]]:
        """Return the entries of a map by their names, as nodes, without those that cannot be."""
        found: dict[str, tuple[Node, Node]] = {}
        if not isinstance(node, MappingNode) or len(node.value) > _MOST:
            self._complain(node, f"here must be a map{f' of {chr(44).join(sorted(known))}' if known else ''}.", _SEE)
            return found
        for key, value in node.value:
            name = key.value if isinstance(key, ScalarNode) else ""
            if known is not None and name not in known:
                hint = did_you_mean(name, known) or f"Known: {', '.join(sorted(known))}"
                self._complain(key, f"unknown key {said(name)}.", hint)
            elif name in found:
                self._complain(key, f"{said(name)} stands here a second time.", "Take one of them away.")
            else:
                found[name] = key, value
        return found

    def _map(self, found: dict[str, Node], key: str, check: Callable[[str, str], str],
             known: Collection[str] | None = None) -> dict[str, str]:
        if key not in found:
            return {}
        values: dict[str, str] = {}
        for name, (place, node) in self._pairs(found[key], known).items():
            text = self._text(node)
            if text and (value := self._checked(place, key, partial(check, name, text))):
                values[name] = value
        return values

    def _texts(self, found: dict[str, Node], key: str, check: Callable[[str], str]) -> tuple[str, ...]:
        node = found.get(key)
        items = [] if node is None else node.value if isinstance(node, SequenceNode) else [node]
        texts = [(item, self._text(item)) for item in items[:_MOST]]
        checked = [self._checked(item, key, partial(check, text)) for item, text in texts if text]
        return tuple(text for text in checked if text)

    def _one(self, found: dict[str, Node], key: str, check: Callable[[str], Any]) -> Any:
        text = self._text(found[key]) if key in found else ""
        return self._checked(found[key], key, partial(check, text)) if text else None

    def _text(self, node: Node) -> str:
        """Return a text that is not empty; "" after a complaint."""
        if isinstance(node, ScalarNode) and node.tag in yaml_file.TAGS and node.tag != yaml_file.NULL and node.value:
            return str(node.value)
        self._complain(node, "here must be a text.", _SEE)
        return ""

    def _checked(self, node: Node, key: str, check: Callable[[], Any]) -> Any:
        """Return what ``check`` returns; None after a complaint."""
        try:
            return check()
        except (SandboxInterpreterError, ValueError) as error:
            self._complain(node, f"{key}: {str(error).rstrip('.')}.", getattr(error, "next_step", "") or _SEE)
        return None

    def _complain(self, node: Node, what: str, next_step: str) -> None:
        place = yaml_file.place(self._path, node, columns=True)
        self.problems.append(ConfigError(f"{place}: {what}", next_step=next_step))


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < len(text) < 7:
        raise ValueError(f"{said(text)} is not a number of megabytes")
    return int(text)
