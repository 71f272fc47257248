"""The settings that an Interpreter has as attributes."""

from __future__ import annotations

from typing import Generic, TypeVar

from sandbox_interpreter import config
from sandbox_interpreter.config import Settings

Value = TypeVar("Value")


class Setting(Generic[Value]):
    """An attribute that is a setting of that name: reading and writing it reads and writes ``settings``, checked."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self.__doc__ = f"The setting ``{name}``. Raises ConfigError for a value that does not fit."

    def __get__(self, owner: Attributes, kind: type | None = None) -> Value:
        value: Value = getattr(owner.settings, self._name)
        return value

    def __set__(self, owner: Attributes, value: Value) -> None:
        setattr(owner.settings, self._name, config.convert(self._name, value))


class Attributes:
    """What has ``settings``, and shows the following as its own attributes."""

    settings: Settings

    model = Setting[str | None]()
    local = Setting[bool | None]()
    fast = Setting[bool]()
    temperature = Setting[float]()
    api_base = Setting[str | None]()
    api_key = Setting[str | None]()
    max_tokens = Setting[int | None]()
    context_window = Setting[int | None]()
    max_budget = Setting[float | None]()
    max_output = Setting[int]()
    supports_functions = Setting[bool | None]()
    vision = Setting[bool | None]()
    auto_run = Setting[bool]()
    safe_mode = Setting[str]()
    debug = Setting[bool]()
