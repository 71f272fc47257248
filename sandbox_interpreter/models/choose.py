"""Which model answers, and why that one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ModelNotConfigured
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import local
from sandbox_interpreter.models.base import Answer, Model
from sandbox_interpreter.models.facts import facts
from sandbox_interpreter.models.gallery import Shrink
from sandbox_interpreter.models.ledger import Ledger


@dataclass(frozen=True)
class Provider:
    """A provider: the variable that holds its key, and models of its that write code and take tool calls well.

    ``sees``: whether the first of them looks at pictures.
    """

    variable: str
    model: str
    fast: str
    sees: bool = True


PROVIDERS = (
    Provider("OPENAI_API_KEY", "openai/gpt-4.1", "openai/gpt-4.1-mini"),
    Provider("ANTHROPIC_API_KEY", "anthropic/claude-sonnet-4-5", "anthropic/claude-haiku-4-5"),
    Provider("GEMINI_API_KEY", "gemini/gemini-2.5-pro", "gemini/gemini-2.5-flash"),
    Provider("OPENROUTER_API_KEY", "openrouter/anthropic/claude-sonnet-4.5", "openrouter/anthropic/claude-haiku-4.5"),
    Provider("MISTRAL_API_KEY", "mistral/mistral-large-latest", "mistral/mistral-small-latest"),
    Provider("DEEPSEEK_API_KEY", "deepseek/deepseek-chat", "deepseek/deepseek-chat", sees=False),
)

DEMO = "demo"
SCRIPTED = "scripted:"
LOCAL_WINDOW = 3000
LOCAL_ANSWER = 1000
"""Tokens that a model on this machine reads and writes, and writes alone, unless a setting says otherwise."""


@dataclass(frozen=True)
class Choice:
    """A model's name, and a sentence on why it was chosen.

    ``server``: the kind of a model server on this machine, if one was chosen. ``absent``: there is none so far.
    """

    name: str
    reason: str
    server: local.Kind | None = None
    absent: bool = False


@dataclass(frozen=True)
class Wiring:
    """What ties a model to the session that it is in. Each part may be left out, as for a look at the choice alone.

    ``notify`` is told when a call has to wait, ``show`` of all that is sent; ``shrink`` makes pictures fit;
    ``secrets`` may be shown nowhere.
    """

    ledger: Ledger = field(default_factory=Ledger)
    notify: Callable[[str], None] | None = None
    show: Callable[[str], None] | None = None
    shrink: Shrink | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


def choice(settings: Settings) -> Choice:
    """Return which model the settings and the environment ask for. Loads nothing; may ask ports of this machine."""
    if settings.local:
        return _on_this_machine(settings)
    if settings.model:
        return _named(settings, settings.model)
    for provider in PROVIDERS:
        if os.environ.get(provider.variable) and (provider.sees or not settings.vision):
            name = provider.fast if settings.fast else provider.model
            return Choice(name, f"No model is configured; {provider.variable} is set, so {name} answers.")
    for server in local.find() if settings.local is None else ():
        if server.models:
            name = server.name_of(server.models[0])
            return Choice(name, f"No model is configured and no provider's key is set; {server.kind.name} answers on "
                                f"this machine, so {name} does.", server.kind)
    return Choice(DEMO, "No model is configured and no provider's key is set, so the built-in demo answers. "
                        "Set a key, such as OPENAI_API_KEY, or name a model: -m MODEL")


def _named(settings: Settings, name: str) -> Choice:
    """Return the choice of the model that is named, or of the one that --fast or --vision take in its place."""
    reason = f"The settings name the model {name}."
    provider = next((each for each in PROVIDERS if name.startswith(each.model.partition("/")[0] + "/")), None)
    if settings.fast and provider:
        return Choice(provider.fast, f"{reason} Of the same provider, {provider.fast} is the fast one.")
    if settings.vision and provider and provider.sees and facts(name).sees is False:
        return Choice(provider.model, f"{reason} It sees no pictures; of the same provider, {provider.model} does.")
    return Choice(name, reason)


def _on_this_machine(settings: Settings) -> Choice:
    """Return the choice of a model on this machine: the one that is named, if any, at whichever server has it."""
    servers = local.find()
    having = [server for server in servers if _has(server, settings.model)]
    server = next(iter(having or servers), None)
    if server is None:
        ports = ", ".join(str(kind.port) for kind in local.KINDS)
        return Choice(settings.model or "openai/local-model", "No model server answers on this machine so far (asked "
                      f"the ports {ports}).\n{local.STEPS}", local.KINDS[0], absent=True)
    name = settings.model or server.name_of(next(iter(server.models), "local-model"))
    if "/" not in name or (server.models and name in server.models):
        name = server.name_of(name)
    others = [f"{other.kind.name}: -m {other.name_of(model)}" for other in servers for model in other.models
              if other.name_of(model) != name]
    more = f" There are also: {'; '.join(others[:5])}." if others else ""
    return Choice(name, f"{server.kind.name} answers on this machine, at {server.kind.api_base}, with {name}.{more}",
                  server.kind)


def _has(server: local.Server, name: str | None) -> bool:
    if name is None:
        return bool(server.models)
    return name in server.models or name in map(server.name_of, server.models)


def choose(settings: Settings, wiring: Wiring | None = None) -> Model:
    """Return the model that answers, without calling it. Raises ModelNotConfigured for a script that is wrong."""
    wiring, chosen = wiring or Wiring(), choice(settings)
    if chosen.name == DEMO or chosen.name.startswith(SCRIPTED):
        from sandbox_interpreter.models import scripted

        path = scripted.DEMO if chosen.name == DEMO else Path(chosen.name.removeprefix(SCRIPTED)).expanduser()
        return scripted.load(path)
    if chosen.absent:
        return _Absent()
    from sandbox_interpreter.models.litellm_model import LiteLLMModel

    window, answer = settings.context_window, settings.max_tokens
    if chosen.server:
        window = window or max(LOCAL_WINDOW, 3 * (answer or 0))
        answer = answer or min(LOCAL_ANSWER, window // 3)
    return LiteLLMModel(
        chosen.name, temperature=settings.temperature, api_key=settings.api_key, context_window=window,
        api_base=settings.api_base or (chosen.server.api_base if chosen.server else None), max_tokens=answer,
        max_output=settings.max_output, max_budget=settings.max_budget, vision=settings.vision,
        supports_functions=settings.supports_functions, free=chosen.server is not None, shrink=wiring.shrink,
        ledger=wiring.ledger, notify=wiring.notify, show=wiring.show, secrets=wiring.secrets)


class _Absent:
    """The model on this machine that nobody has started yet."""

    def stream(self, messages: Sequence[Message], *, system: str) -> Answer:  # noqa: ARG002  # the seam's
        """Raise ModelNotConfigured with the steps that mend it."""
        raise ModelNotConfigured("No model server answers on this machine.", next_step=local.STEPS)
