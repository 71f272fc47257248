"""What a session's answers took, in tokens and in money, and the limit on it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sandbox_interpreter.errors import BudgetReached, ModelNotConfigured
from sandbox_interpreter.models.facts import Price


@dataclass(frozen=True)
class Usage:
    """Tokens: those that were read, and those that were written."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)


@dataclass
class Ledger:
    """Adds up. It outlives a reset of the conversation: what is spent is spent."""

    usage: Usage = field(default_factory=Usage)
    cost: float = 0.0
    """US dollars of the answers whose price is known."""
    unpriced: int = 0
    """Answers whose price is not known."""
    windows: dict[str, int] = field(default_factory=dict)
    """Tokens that a model reads, by its name, where its server was the one to tell: by refusing a request."""

    def add(self, usage: Usage, cost: float | None) -> None:
        """Enter one answer; ``cost`` is in US dollars, None where it is not known."""
        self.usage += usage
        self.cost += cost or 0.0
        self.unpriced += cost is None

    def check(self, budget: float | None, *, model: str, price: Price | None, prompt_tokens: int) -> None:
        """Raise BudgetReached where the next request would pass ``budget`` (US dollars), before its answer even.

        Raises ModelNotConfigured where nobody can tell, since the price is not known: a limit that is not kept would
        be worse than none.
        """
        if budget is None:
            return
        if price is None:
            raise ModelNotConfigured(f"The price of model {model!r} is not known, so max_budget ({dollars(budget)}) "
                                     "cannot be kept.", next_step="Choose a model of known price, or unset max_budget.")
        following = price.of(prompt_tokens)
        if self.cost + following > budget or self.cost >= budget > 0:
            raise BudgetReached(
                f"The budget of {dollars(budget)} is reached: {dollars(self.cost)} are spent, and the next request "
                f"would cost {dollars(following)} before its answer.",
                next_step="Raise max_budget, or shorten the conversation: %undo, %reset.")


def dollars(amount: float) -> str:
    """Return a sum as people write it: in whole cents, or with two digits that are not zero where it is less."""
    digits = 2 if amount >= 0.1 or amount <= 0 else 1 - math.floor(math.log10(amount))
    return f"${amount:.{digits}f}"
