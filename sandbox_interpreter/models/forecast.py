"""What the next request to a model would take, in tokens and in money, and what all so far took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import tokens
from sandbox_interpreter.models.base import Measuring, Model
from sandbox_interpreter.models.facts import FREE, Price
from sandbox_interpreter.models.ledger import Ledger, Usage, dollars
from sandbox_interpreter.models.request import Form


@dataclass(frozen=True)
class Forecast:
    """Tokens of the next request as it stands, of a prompt, and of the request with the prompt; what was spent.

    What a request reads is counted, not what its answer will be. ``exact``: counted with litellm's tokenizer, which is
    the model's own or near it; else estimated.
    """

    request_tokens: int
    prompt_tokens: int
    total_tokens: int
    price: Price | None
    """None where it is not known."""
    exact: bool
    spent: Usage
    spent_dollars: float
    unpriced: int
    """Answers so far whose price is not known."""

    def dollars(self, count: int) -> float | None:
        """Return what ``count`` tokens cost to read, in US dollars; None where the price is not known."""
        return self.price.of(count) if self.price else None

    def rows(self) -> list[tuple[str, str]]:
        """Return what a person is told: names, and figures with what they cost."""
        rows = [("next request", self._figure(self.request_tokens))]
        if self.prompt_tokens:
            rows += [("this prompt", self._figure(self.prompt_tokens)),
                     ("next request with it", self._figure(self.total_tokens))]
        spent = f"{self.spent.prompt_tokens:,} tokens read and {self.spent.completion_tokens:,} written"
        unknown = f", without {self.unpriced:,} of unknown price" if self.unpriced else ""
        return [*rows, ("so far", f"{spent}, {dollars(self.spent_dollars)}{unknown}")]

    def _figure(self, count: int) -> str:
        cost = self.dollars(count)
        price = "price not known" if cost is None else f"{dollars(cost)} to read"
        return f"{'' if self.exact else 'about '}{count:,} tokens, {price}"


def forecast(model: Model, messages: Sequence[Message], *, system: str, prompt: str, ledger: Ledger) -> Forecast:
    """Return what the next request would take; ``prompt`` is what would be said next, "" for nothing."""
    said: Message = {"role": "user", "type": "message", "content": prompt}
    request = _measured(model, messages, system)
    total = _measured(model, [*messages, said], system) if prompt else request
    return Forecast(
        request, _measured(model, [said], system) - _measured(model, [], system) if prompt else 0, total,
        price=model.price if isinstance(model, Measuring) else FREE,
        exact=isinstance(model, Measuring) and tokens.is_exact(),
        spent=ledger.usage, spent_dollars=ledger.cost, unpriced=ledger.unpriced)


def _measured(model: Model, messages: Sequence[Message], system: str) -> int:
    if isinstance(model, Measuring):
        return model.measure(messages, system=system)
    entries = Form(tools=True, max_output=8000).request(messages, system=system)  # a script reads nothing
    return tokens.of_entries(entries, tokens.roughly)
