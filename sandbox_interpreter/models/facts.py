"""What litellm's own data say of a model: its prices, how much it reads and writes, whether it sees pictures.

Read from the file that litellm carries, so that nobody has to wait two seconds for its import to learn a price.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE = "model_prices_and_context_window_backup.json"
_ON_THIS_MACHINE = ("ollama/", "ollama_chat/", "lm_studio/", "llamafile/")
_HOSTED = ("-cloud", ":cloud")  # Ollama passes the names that end so on to its own service


@dataclass(frozen=True)
class Price:
    """US dollars for one token that is read (``prompt``), and for one that is written (``answer``)."""

    prompt: float
    answer: float

    def of(self, prompt_tokens: int, answer_tokens: int = 0) -> float:
        """Return the US dollars for so many tokens."""
        return self.prompt * prompt_tokens + self.answer * answer_tokens


FREE = Price(0.0, 0.0)


@dataclass(frozen=True)
class Facts:
    """What is known of one model; None where nothing is."""

    price: Price | None = None
    window: int | None = None
    """Tokens that it reads."""
    longest: int | None = None
    """Tokens that one answer may have."""
    sees: bool | None = None
    calls_tools: bool | None = None


def facts(model: str) -> Facts:
    """Return what is known of a model string of litellm's; all None for a model that litellm does not know."""
    record = _record(model)
    price = FREE if model.startswith(_ON_THIS_MACHINE) and not model.endswith(_HOSTED) else _price(record)
    return Facts(price, _count(record, "max_input_tokens"), _count(record, "max_output_tokens"),
                 record.get("supports_vision"), record.get("supports_function_calling"))


def _record(model: str) -> Mapping[str, Any]:
    """Return litellm's entry: under the whole name, else under the bare one if that is of the same provider."""
    data = _data()
    if model in data:
        return data[model]
    provider, _, name = model.partition("/")
    record = data.get(name, {})
    return record if record.get("litellm_provider") == provider else {}


def _data() -> Mapping[str, Mapping[str, Any]]:
    # Once litellm is there, its table also holds what the program around us has registered.
    loaded: Mapping[str, Mapping[str, Any]] | None = getattr(sys.modules.get("litellm"), "model_cost", None)
    return loaded or _file()


@functools.cache
def _file() -> Mapping[str, Mapping[str, Any]]:
    found = importlib.util.find_spec("litellm")
    try:
        folder = Path(found.origin).parent if found and found.origin else Path()
        data: Mapping[str, Mapping[str, Any]] = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError):  # another version keeps its data elsewhere: then they are known once it is loaded
        return {}
    return data


def _price(record: Mapping[str, Any]) -> Price | None:
    prompt, answer = record.get("input_cost_per_token"), record.get("output_cost_per_token")
    return None if prompt is None or answer is None else Price(float(prompt), float(answer))


def _count(record: Mapping[str, Any], key: str) -> int | None:
    value = record.get(key)
    return int(value) if isinstance(value, int | float) and value > 0 else None
