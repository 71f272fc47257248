"""Any model that litellm can call, streamed, with retries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sandbox_interpreter.errors import ModelError
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import client, debug, failures, response, tokens, tool_calls
from sandbox_interpreter.models.abilities import OLLAMA, Abilities
from sandbox_interpreter.models.answer import AnswerReader
from sandbox_interpreter.models.base import Answer, BrokenOff, ModelEvent
from sandbox_interpreter.models.composer import Composer
from sandbox_interpreter.models.facts import Price
from sandbox_interpreter.models.gallery import Shrink
from sandbox_interpreter.models.ledger import Ledger
from sandbox_interpreter.models.mend import mended
from sandbox_interpreter.models.meter import Meter
from sandbox_interpreter.models.request import Entry, Form
from sandbox_interpreter.models.retry import RetryPolicy
from sandbox_interpreter.models.spelled import recognised

_REFUSALS = 4
"""So often a request may be refused for what is in it, and be changed, before that is an error."""


@dataclass(frozen=True)
class LiteLLMModel:
    """One model, called through litellm: ``name`` is a model string of litellm's.

    A call that fails before anything of the answer was shown is tried again in silence (``notify`` is told of each
    wait). One that breaks off later is tried again too, but never unsaid: a ``BrokenOff`` event stands between what
    came and the new answer, which begins from the start, since no provider can resume one.
    """

    name: str
    temperature: float = 0.0
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    context_window: int | None = None
    """Tokens that the model reads and writes; None asks litellm, and a server that refuses what is longer."""
    max_tokens: int | None = None
    max_output: int = 8000
    """Characters of one run's output that are sent."""
    max_budget: float | None = None
    """US dollars of the ledger that no call may pass."""
    supports_functions: bool | None = None
    """None asks litellm, which knows of no tools for a model that it does not know."""
    vision: bool | None = None
    """Whether pictures are sent; None asks litellm."""
    shrink: Shrink | None = None
    """Makes a picture fit that is too large to be sent; without it, such a picture is not."""
    free: bool = False
    """The model runs on the user's own machine and costs nothing."""
    timeout: float = 300.0
    """Seconds between two pieces of an answer; models that think first send nothing meanwhile."""
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    ledger: Ledger = field(default_factory=Ledger)
    """Every answer is entered there."""
    notify: Callable[[str], None] | None = None
    """Told of each wait before another try, and of what is left out."""
    show: Callable[[str], None] | None = None
    """Told of everything that is sent, without keys."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What may stand in no error and in nothing that is shown, besides keys."""

    def prepare(self, messages: Sequence[Message] = ()) -> None:
        """Begin to load litellm in the background, and to count ``messages``; what was counted is remembered."""
        said = [*messages]  # the conversation may go on meanwhile

        def count() -> None:
            with suppress(ModelError):  # what cannot be sent is told when it is to be
                self.measure(said, system="")

        client.preload(then=count)

    def stream(self, messages: Sequence[Message], *, system: str) -> Answer:
        """Yield the next answer as it is written. Raises ModelNotConfigured, ModelUnavailable, BudgetReached."""
        litellm = client.load()
        try:
            yield from self._accepted(litellm, messages, system)
        except ModelError:
            raise
        except Exception as error:
            keys = [self.api_key, *self.secrets]
            raise failures.translated(error, model=self.name, server=self.api_base,
                                      secrets=keys) from failures.cause_of(error, keys)

    def sees(self) -> bool:
        """Tell whether the model looks at pictures."""
        return self._abilities.sees()

    @property
    def price(self) -> Price | None:
        """Return what its tokens cost, by litellm's data; None where that is not known."""
        return self._abilities.price

    def measure(self, messages: Sequence[Message], *, system: str) -> int:
        """Return the tokens of the next request; roughly, as long as litellm is not loaded."""
        composer = self._composer(tools=self._abilities.calls_tools(), urls=True)
        return composer.tokens(composer.compose(messages, system=system))

    # --- calls, as many as it takes ---

    def _accepted(self, litellm: Any, messages: Sequence[Message], system: str) -> Iterator[ModelEvent]:
        """Yield the answer; where the server refuses the request for what is in it, to another one."""
        tools, urls = self._abilities.calls_tools(litellm), client.leaves_pictures_alone(litellm)
        for refusals in range(_REFUSALS + 1):
            composer = self._composer(tools=tools, urls=urls)
            entries = composer.compose(messages, system=system)
            shown = False
            try:
                for event in self._with_retries(litellm, composer, entries):
                    shown = True
                    yield event
                return
            except Exception as error:
                if shown or refusals == _REFUSALS:
                    raise
                if urls and failures.is_about_picture_address(error):
                    urls = False
                    self._tell("This provider takes no addresses of pictures; the model gets them as text.")
                elif failures.is_too_long(error):
                    self._learn(error, composer, entries)
                else:
                    raise

    def _learn(self, error: Exception, composer: Composer, entries: Sequence[Entry]) -> None:
        """Remember how much the model reads: what the server says, if that is news, else less than it was sent."""
        told, known = failures.told_window(error), composer.window
        news = told if told and (known is None or told < known) else int((known or composer.tokens(entries)) * 0.7)
        self.ledger.windows[self.name] = news
        self._tell(f"The model reads less than it was sent; from now on it is sent {news} tokens at most.")

    def _with_retries(self, litellm: Any, composer: Composer, entries: list[Entry]) -> Iterator[ModelEvent]:
        for attempt in self.retries.tries(failures.is_transient, failures.server_wait, self._tell_wait):
            shown = False
            with attempt:
                try:
                    for event in self._answer(litellm, composer, entries):
                        shown = True
                        yield event
                except Exception as error:
                    last = attempt.retry_state.attempt_number == self.retries.attempts
                    if shown and not last and failures.is_transient(error):
                        yield BrokenOff(f"{failures.brief(error)}; the answer begins again.", again=True)
                    raise

    def _tell_wait(self, error: BaseException, seconds: float) -> None:
        self._tell(f"{failures.brief(error)}; trying again in {seconds:.0f} s.")

    def _tell(self, text: str) -> None:
        if self.notify:
            self.notify(text)

    # --- one call ---

    def _answer(self, litellm: Any, composer: Composer, entries: list[Entry]) -> Iterator[ModelEvent]:
        if self.max_budget is not None:
            self.ledger.check(self.max_budget, model=self.name, price=self.price,
                              prompt_tokens=composer.tokens(entries))
        request = self._request(entries, composer)
        if self.show:
            self.show(debug.told(request, [self.api_key, *self.secrets]))
        request["api_key"] = self._key(litellm)
        client.ignore_its_warnings()
        answer = litellm.completion(**request)
        meter = Meter(composer, entries, self.price)
        try:
            events = response.events(answer, AnswerReader(fences=not composer.form.tools), meter)
            yield from mended(recognised(events))
        finally:
            response.hang_up(answer)
            meter.enter(self.ledger, litellm, self.name)

    def _request(self, entries: list[Entry], composer: Composer) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.name, "messages": entries, "stream": True, "stream_options": {"include_usage": True},
            "temperature": self.temperature, "timeout": self.timeout,
            # Retries are ours: litellm's know nothing of what was shown already.
            "num_retries": 0, "max_retries": 0,
            "drop_params": True,  # a model that takes, say, no temperature is called without one
        }
        optional = {"api_base": self.api_base, "max_tokens": self.max_tokens,
                    "num_ctx": composer.window if self.name.startswith(OLLAMA) else None}
        request |= {name: value for name, value in optional.items() if value is not None}
        if composer.form.tools:
            # litellm looks for MCP servers among the tools, for which it needs a package that it does not install.
            request |= {"tools": [tool_calls.tool()], "parallel_tool_calls": False, "_skip_mcp_handler": True}
        return request

    @property
    def _abilities(self) -> Abilities:
        return Abilities(self.name, self.context_window, self.supports_functions, self.vision, self.free,
                         self.ledger.windows)

    def _composer(self, *, tools: bool, urls: bool) -> Composer:
        form = Form(tools, self.max_output, self._abilities.gallery(self.shrink, urls=urls))
        return Composer(form, self._abilities.window, self.max_tokens, tokens.counter(self.name))

    def _key(self, litellm: Any) -> str | None:
        """Return the key to pass on; None leaves it to litellm, which reads the provider's variables."""
        if self.api_key:
            return self.api_key
        missing = litellm.validate_environment(model=self.name)["missing_keys"]
        if not missing or not all(name.endswith("API_KEY") for name in missing):
            return None
        if self.api_base:
            return "none"  # a server of one's own needs no key, but the client refuses to call without one
        raise failures.missing_key(self.name, missing)
