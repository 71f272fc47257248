"""The settings explained: as a settings file in which everything stands with its default, and as tables of a page."""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from collections.abc import Iterator
from typing import Any

from sandbox_interpreter.config.rules import TRUSTED
from sandbox_interpreter.config.settings import FIELDS, GROUPS, SPECS, Settings
from sandbox_interpreter.values import format_size, written

_HEADER = """\
# Settings of sbi. Each may also be given in the environment (SBI_MAX_TOKENS) or as a flag (--max-tokens), which win.
# What follows are the defaults; take away the # in front of what you change.
"""


def explanations(record: type = Settings) -> dict[str, str]:
    """Return what each field of a record (each setting) is for, by its name: the text that stands below it."""
    module = ast.parse(inspect.getsource(sys.modules[record.__module__]))
    body = next(node.body for node in module.body if isinstance(node, ast.ClassDef) and node.name == record.__name__)
    found: dict[str, str] = {}
    for declared, text in itertools.pairwise(body):
        if isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name) and isinstance(text, ast.Expr):
            found[declared.target.id] = str(ast.literal_eval(text.value))
    return found


def new_file() -> str:
    """Return the text of a settings file in which every setting stands explained, with its default, commented out."""
    explained = explanations()
    parts = [_HEADER]
    for name in FIELDS:
        title = f"\n# --- {GROUPS[name]} ---\n" if name in GROUPS else ""
        parts.append(f"{title}\n# {explained[name].replace('``', '`')}\n#{as_yaml(name, FIELDS[name].default)}\n")
    return "".join(parts)


def tables() -> str:
    """Return every setting in a table for each group, in Markdown, for docs/settings.md."""
    explained = explanations()
    return "\n".join(_rows(explained))


def as_yaml(name: str, value: Any) -> str:
    """Return ``name: value`` as one line of a settings file, which reads it back."""
    import yaml

    plain = list(value) if isinstance(value, tuple) else format_size(value) if SPECS[name].size else value
    style = '"' if isinstance(plain, str) and not plain.isprintable() else None  # the one that keeps to one line
    text = yaml.safe_dump(plain, default_flow_style=True, default_style=style, allow_unicode=True, width=float("inf"))
    return f"{name}: {text.removesuffix('...' + chr(10)).rstrip()}"


def _rows(explained: dict[str, str]) -> Iterator[str]:
    for name, field in FIELDS.items():
        if name in GROUPS:
            yield f"\n### {GROUPS[name]}\n\n| setting | default | what it is | a project's file |\n|---|---|---|---|"
        spec = SPECS[name]
        default = "" if field.default in (None, ()) else f"`{written(field.default, size=spec.size)}`"
        may = "only once you trust it" if spec.project is TRUSTED else spec.project.words
        yield f"| `{name}` | {default} | {explained[name].replace('``', '`').replace('|', chr(92) + '|')} | {may} |"
