"""Changing a settings file without disturbing what a person wrote: comments, order and form of all else stay."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from yaml.nodes import MappingNode, Node, ScalarNode

from sandbox_interpreter.config import yaml_file
from sandbox_interpreter.config.folders import shown
from sandbox_interpreter.errors import ConfigError


def merge(path: Path, key: str, values: Mapping[str, str]) -> bytes:
    """Write ``values`` into the map ``key`` of a settings file, which is made if need be; return what it holds then.

    Entries of other names stay. Raises ConfigError: the file is no settings file, is a link, or cannot be written.
    """
    old = yaml_file.read_bytes(path, follow=False) if os.path.lexists(path) else b""
    new = merged(old, path, key, values)
    found: yaml_file.Value = None
    for entry in yaml_file.entries(new, path):
        if isinstance(entry, ConfigError):
            raise entry
        found = entry.value if entry.key == key else found
    if not isinstance(found, dict) or not values.items() <= found.items():
        raise ConfigError(f"{shown(path)}: {key} is written in a form that cannot be changed here.",
                          next_step=f"Write it as a map, one `NAME: value` a line, below `{key}:`.")
    _replace(path, new)
    return new


def merged(data: bytes, path: Path, key: str, values: Mapping[str, str]) -> bytes:
    """Return the content of a settings file with ``values`` in its map ``key``. Raises ConfigError."""
    text = data.decode("utf-8-sig", "replace")  # what is not text is refused in the next line
    root = yaml_file.compose(data, path)
    pairs = root.value if isinstance(root, MappingNode) else []
    for name, node in pairs:
        if isinstance(name, ScalarNode) and name.value == key:
            return _into(text, name, node, values).encode()
    gap = "\n" if text and not text.endswith("\n") else ""
    return f"{text}{gap}{_block(key, values)}".encode()


def _into(text: str, key: Node, node: Node, values: Mapping[str, str]) -> str:
    if not isinstance(node, MappingNode) or node.flow_style or not node.value:
        known = {each.value: value.value for each, value in node.value} if isinstance(node, MappingNode) else {}
        rest = text[node.end_mark.index:].lstrip("\n")
        return text[:key.start_mark.index] + _block(key.value, {**known, **values}) + rest
    places = {name.value: value for name, value in node.value}
    last = node.value[-1][1]
    line_end = text.find("\n", last.end_mark.index)
    end = len(text) if line_end < 0 else line_end
    indent = " " * node.value[0][0].start_mark.column
    added = "".join(f"\n{indent}{_quoted(name)}: {value}" for name, value in values.items() if name not in places)
    text = text[:end] + added + text[end:]
    for name, value in sorted(places.items(), key=lambda place: -place[1].start_mark.index):
        if name in values:  # from the last to the first, so that what stands before stays where it was
            text = text[:value.start_mark.index] + values[name] + text[value.end_mark.index:]
    return text


def _block(key: str, values: Mapping[str, str]) -> str:
    return f"{key}:\n" + "".join(f"  {_quoted(name)}: {value}\n" for name, value in values.items())


def _quoted(name: str) -> str:
    """Return a name as a YAML key: a reference has colons, which plain text may not have everywhere."""
    return name if name.isidentifier() else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _replace(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of a file in one step, with the permissions that the file had."""
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigError(f"Cannot write {shown(path)}: {error.strerror}.",
                          next_step="See who may write to its folder.") from None
