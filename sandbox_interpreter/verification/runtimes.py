"""Which runtimes are known to be vulnerable, by their versions. A warning: distributions mend without a new number."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from sandbox_interpreter.verification.probe import Inventory

_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,7}")


def warnings(inventory: Inventory, today: datetime.date) -> Iterator[str]:
    """Yield a sentence for each runtime or package that is known to be vulnerable, or that nobody mends any more."""
    versions = {name: _number(text) for name, text in inventory.runtimes.items()}
    versions |= {each.name: _number(each.version) for each in inventory.packages if each.kind == "deb"}
    for known in _known():
        if version := versions.get(known["name"]):
            yield from (f"{known['name']} {version}: {fault} ({known['source']})"
                        for fault in _faults(known, version, today))


def _known() -> list[dict[str, Any]]:
    import yaml

    text = resources.files(__package__).joinpath("runtimes.yaml").read_text("utf-8")
    records: list[dict[str, Any]] = yaml.safe_load(text)
    return records


def _faults(known: Mapping[str, Any], version: str, today: datetime.date) -> Iterator[str]:
    for series, day in known.get("ends", {}).items():
        if _is_of(version, series) and day <= today:
            yield f"not mended since {day}"
    for series, first in known.get("mended", {}).items():
        if _is_of(version, series) and _parts(version) < _parts(first):
            yield f"mended in {first}"
    if version in known.get("bad", ()):
        yield "known to be vulnerable"


def _number(text: str) -> str:
    """Return the first version number in what a program says of itself: ``3.13.5`` of ``Python 3.13.5``."""
    match = _VERSION.search(text)
    return match[0] if match else ""


def _is_of(version: str, series: str) -> bool:
    parts = _parts(series)
    return _parts(version)[:len(parts)] == parts


def _parts(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
