from __future__ import annotations

import pytest

from sandbox_interpreter.errors import BudgetReached, ModelNotConfigured
from sandbox_interpreter.models.facts import FREE, Price
from sandbox_interpreter.models.ledger import Ledger, Usage, dollars

PRICE = Price(1e-3, 2e-3)


def spent(cost: float) -> Ledger:
    ledger = Ledger()
    ledger.add(Usage(10, 5), cost)
    return ledger


def test_answers_add_up_and_those_of_unknown_price_are_counted_apart() -> None:
    ledger = spent(0.25)
    ledger.add(Usage(20, 3), 0.5)
    ledger.add(Usage(1, 1), None)
    assert (ledger.usage, ledger.cost, ledger.unpriced) == (Usage(31, 9), 0.75, 1)


@pytest.mark.parametrize(("already", "tokens"), [(0.5, 0), (0.49, 20), (2.0, 0), (0.0, 501)])
def test_budget_reached_stops_before_the_next_call_and_says_the_sum(already: float, tokens: int) -> None:
    with pytest.raises(BudgetReached) as caught:
        spent(already).check(0.5, model="m", price=PRICE, prompt_tokens=tokens)
    assert "The budget of $0.50 is reached" in str(caught.value)
    assert f"{dollars(already)} are spent" in str(caught.value)


@pytest.mark.parametrize(("already", "tokens", "budget", "price"), [
    (0.0, 400, 0.5, PRICE), (0.49, 9, 0.5, PRICE), (9.0, 9, None, PRICE), (0.0, 10**6, 0.0, FREE),
    (0.1, 10, None, None),
])
def test_what_is_within_the_budget_may_be_asked(already: float, tokens: int, budget: float | None,
                                                price: Price | None) -> None:
    ledger = spent(already)
    ledger.check(budget, model="m", price=price, prompt_tokens=tokens)
    assert ledger.cost == already


def test_a_budget_that_cannot_be_kept_since_the_price_is_unknown_is_an_error() -> None:
    with pytest.raises(ModelNotConfigured, match=r"The price of model 'm' is not known, so max_budget \(\$0\.50\)"):
        Ledger().check(0.5, model="m", price=None, prompt_tokens=1)


@pytest.mark.parametrize(("amount", "text"), [
    (0, "$0.00"), (0.5, "$0.50"), (12.345, "$12.35"), (0.0123, "$0.012"), (0.00004, "$0.000040"), (0.099, "$0.099"),
])
def test_sums_are_written_as_people_do(amount: float, text: str) -> None:
    assert dollars(amount) == text
