"""What is known of a model from litellm's own file: prices, limits, abilities."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sandbox_interpreter.models.abilities import Abilities
from sandbox_interpreter.models.facts import FREE, Facts, Price, facts


def test_a_provider_in_front_of_the_name_finds_the_same_facts() -> None:
    known = facts("gpt-4.1")
    assert known.price == Price(2e-06, 8e-06)
    assert (known.window, known.sees, known.calls_tools) == (1047576, True, True)
    assert facts("openai/gpt-4.1") == known


@pytest.mark.parametrize("model", [
    "openai/of-ones-own", "", "/",
    "deepseek/gpt-4.1",  # another provider's model of that name may cost something else
])
def test_nothing_is_made_up_of_a_model_that_litellm_does_not_know(model: str) -> None:
    assert facts(model) == Facts()


def test_a_model_without_a_price_in_the_data_has_no_price() -> None:
    assert facts("openrouter/anthropic/claude-sonnet-4.5").price is None


@pytest.mark.parametrize(("model", "price"), [
    ("ollama/llama3.1", FREE), ("ollama_chat/any", FREE), ("ollama_chat/gpt-oss:120b-cloud", None),
    ("lm_studio/any", FREE), ("openai/of-ones-own", None),
])
def test_models_on_ones_own_machine_cost_nothing(model: str, price: Price | None) -> None:
    assert facts(model).price == price
    assert Abilities(model, free=True).price == FREE


def test_reading_them_does_not_import_litellm() -> None:
    code = ("import sys; from sandbox_interpreter.models.facts import facts\n"
            "print(facts('gpt-4.1').price, 'litellm' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "Price(prompt=2e-06, answer=8e-06) False\n"


@pytest.mark.parametrize(("model", "told", "window"), [
    (Abilities("openai/gpt-4o"), None, 128_000),
    (Abilities("openai/gpt-4o", context_window=5000), None, 5000),
    (Abilities("openai/of-ones-own"), None, None),
    (Abilities("openai/of-ones-own"), 4096, 4096),
    (Abilities("openai/gpt-4o"), 4096, 4096),
    (Abilities("openai/gpt-4o", context_window=3000), 4096, 3000),
    (Abilities("ollama_chat/unheard-of"), None, 8192),
    (Abilities("ollama_chat/unheard-of", context_window=32_000), None, 32_000),
])
def test_the_window_is_the_smallest_that_is_known(model: Abilities, told: int | None, window: int | None) -> None:
    if told:
        model.told_windows[model.name] = told
    assert model.window == window
