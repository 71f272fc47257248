"""What one answer takes, as it comes: from the server's own figures, or counted where it sends none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_interpreter.models.composer import Composer
from sandbox_interpreter.models.facts import FREE, Price
from sandbox_interpreter.models.ledger import Ledger, Usage
from sandbox_interpreter.models.request import Entry


@dataclass
class Meter:
    """Watches one answer. A server that is hung up on sends no figures, and is paid all the same."""

    composer: Composer
    sent: Sequence[Entry]
    price: Price | None
    usage: Any = None
    """The server's figures, once they have come."""
    written: list[str] = field(default_factory=list)
    """The pieces of the answer."""
    size: int = 0
    """Its characters so far."""

    def note(self, piece: str) -> None:
        """Take one more piece of the answer."""
        self.written.append(piece)
        self.size += len(piece)

    def enter(self, ledger: Ledger, litellm: Any, model: str) -> None:
        """Enter the answer, whole or not, into the ledger."""
        usage = self.usage or litellm.Usage(prompt_tokens=self.composer.tokens(self.sent),
                                            completion_tokens=self.composer.count("".join(self.written)))
        figures = Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0)
        ledger.add(figures, self._cost(litellm, model, usage, figures))

    def _cost(self, litellm: Any, model: str, usage: Any, figures: Usage) -> float | None:
        if self.price is None:
            return None
        if self.price == FREE:
            return 0.0
        try:  # litellm also knows what cached tokens and long requests cost
            return float(sum(litellm.cost_per_token(model=model, usage_object=usage)))
        except Exception:  # whatever it stumbles over, the price by the token is known
            return self.price.of(figures.prompt_tokens, figures.completion_tokens)
