"""The JSON schema of task files, for editors: made from the records, so that it says what the reader takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox_interpreter.config.conversion import kind_of
from sandbox_interpreter.config.describe import explanations
from sandbox_interpreter.config.fields import Spec
from sandbox_interpreter.config.settings import SPECS as SETTING_SPECS
from sandbox_interpreter.tasks.record import KEYS, SETTINGS, SPECS, Check, Input, Task

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Mapping[str, str] = {"str": "string", "int": "integer", "float": "number"}
_TEXT = {"type": "string", "minLength": 1}


def schema() -> dict[str, Any]:
    """Return the schema, as JSON-shaped data."""
    keys = {**{name: _key(name) for name in KEYS}, **{key: _setting(name) for key, name in SETTINGS.items()}}
    said, settings = explanations(Task), explanations()
    for key, entry in keys.items():
        entry["description"] = (said.get(key) or settings[SETTINGS[key]]).replace("``", "")
    return {
        "$schema": DIALECT,
        "title": "A task file of sbi",
        "type": "object",
        "properties": keys,
        "additionalProperties": False,
        "oneOf": [{"required": ["prompt"]}, {"required": ["code"]}],
    }


def _key(name: str) -> dict[str, Any]:
    match name:
        case "inputs":
            about = explanations(Input)
            entry = _object({"from": about["pattern"], "to": about["to"]}, required=["from"])
            return _one_or_many({"anyOf": [_TEXT, entry]})
        case "checks":
            return _one_or_many({"anyOf": [_TEXT, _check()]})
        case "artifacts":
            return _one_or_many(_TEXT)
        case "languages":
            return _one_or_many(_language())
        case "language":
            return {**_language(), "default": KEYS[name].default}
    return _ranged({"type": _TYPES[str(KEYS[name].type)]}, SPECS[name])


def _check() -> dict[str, Any]:
    about = explanations(Check)
    entry = _object({"name": about["name"], "run": "A shell command.", "code": about["code"]}, required=[])
    entry["properties"]["language"] = {**_language(), "default": "python", "description": "The language of code."}
    return {**entry, "oneOf": [{"required": ["run"]}, {"required": ["code"]}]}


def _object(properties: Mapping[str, str], *, required: list[str]) -> dict[str, Any]:
    entries = {name: {**_TEXT, "description": text} for name, text in properties.items()}
    return {"type": "object", "properties": entries, "required": required, "additionalProperties": False}


def _one_or_many(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [dict(item), {"type": "array", "items": dict(item)}]}


def _language() -> dict[str, Any]:
    return {"type": "string", "examples": ["python", "shell"]}  # which there are is a matter of the image


def _setting(name: str) -> dict[str, Any]:
    """Return what a setting may be in YAML, where numbers and sizes may also be texts, and lists maps or one text."""
    spec = SETTING_SPECS[name]
    kind = kind_of(name)
    if kind is tuple:
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}},
                          {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}]}
    if spec.size:
        return {"type": ["string", "integer"], "examples": [spec.example]}
    return _ranged({"type": _TYPES[kind.__name__]}, spec)


def _ranged(entry: dict[str, Any], spec: Spec) -> dict[str, Any]:
    if spec.choices:
        entry["enum"] = list(spec.choices)
    if spec.least is not None:
        entry["minimum"] = spec.least
    if spec.most is not None:
        entry["maximum"] = spec.most
    if spec.example:
        number = entry["type"] in ("integer", "number")
        entry["examples"] = [float(spec.example) if number and "." in spec.example else
                             int(spec.example) if number else spec.example]
    return entry
