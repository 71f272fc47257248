"""What a model can do: call tools, see pictures, read so much; from settings, litellm's data, or litellm itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox_interpreter.models import client
from sandbox_interpreter.models.facts import FREE, Facts, Price, facts
from sandbox_interpreter.models.gallery import Gallery, Shrink

OLLAMA = ("ollama/", "ollama_chat/")
_OLLAMA_WINDOW = 8192
"""Tokens that Ollama is asked to read. Left alone it takes 4,096 and drops the beginning of what is longer, unsaid."""


@dataclass(frozen=True)
class Abilities:
    """The abilities of the model ``name``. What is not None, and ``free``, are settings, which win."""

    name: str
    context_window: int | None = None
    supports_functions: bool | None = None
    vision: bool | None = None
    free: bool = False
    told_windows: dict[str, int] = field(default_factory=dict)
    """Tokens that a model reads, by its name, as its server told by refusing a request."""

    @property
    def window(self) -> int | None:
        """Return the tokens that the model reads and writes together; None where that is not known."""
        known = self.context_window or self._facts.window
        if self.name.startswith(OLLAMA):
            known = self.context_window or min(known or _OLLAMA_WINDOW, _OLLAMA_WINDOW)
        told = self.told_windows.get(self.name)
        return min(known, told) if known and told else known or told

    def gallery(self, shrink: Shrink | None, *, urls: bool) -> Gallery:
        """Return which pictures it is shown. ``urls``: whether addresses may be tried."""
        if self.name.startswith(OLLAMA):  # it takes no addresses; and litellm would decode the other formats here
            return Gallery(self.sees, False, shrink, frozenset({"png", "jpeg"}))
        return Gallery(self.sees, urls, shrink)

    @property
    def price(self) -> Price | None:
        """Return what its tokens cost; None where that is not known."""
        return FREE if self.free else self._facts.price

    def calls_tools(self, litellm: Any = None) -> bool:
        """Tell whether it takes tool calls. ``litellm`` knows more than its data, and may ask the model's server."""
        if self.supports_functions is not None:
            return self.supports_functions
        return bool(litellm.supports_function_calling(model=self.name) if litellm else self._facts.calls_tools)

    def sees(self) -> bool:
        """Tell whether it looks at pictures. Loads litellm, unless a setting or its data tell."""
        if self.vision is not None:
            return self.vision
        return bool(self._facts.sees or client.load().supports_vision(model=self.name))

    @property
    def _facts(self) -> Facts:
        return facts(self.name)
