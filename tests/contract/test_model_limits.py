"""Limits of a model through litellm and a real server: how much it reads, what it costs, the pictures that it takes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from itertools import islice
from typing import Any

import pytest

from sandbox_interpreter.errors import BudgetReached, ModelError, ModelNotConfigured, ModelUnavailable
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import client, tokens
from sandbox_interpreter.models.base import CodeDelta, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.ledger import Ledger, Usage
from sandbox_interpreter.models.litellm_model import LiteLLMModel
from sandbox_interpreter.models.retry import RetryPolicy
from tests.support.events import joined, prose
from tests.support.model_servers import page, serving
from tests.support.openai_server import OpenAIServer, call, failure, raw_call, say
from tests.support.pictures import base64_png

KEY = "sk-verysecretkey123456"
TURN: list[Message] = [
    {"role": "user", "type": "message", "content": "Count the words. " + "word " * 100},
    {"role": "assistant", "type": "code", "format": "python", "content": "print('word ' * 100)"},
    {"role": "computer", "type": "console", "format": "output", "content": "word " * 100},
    {"role": "assistant", "type": "message", "content": "They are a hundred."},
]
NOW: Message = {"role": "user", "type": "message", "content": "And now?"}
LONG = [*TURN * 20, NOW]
TOO_LONG = failure(400, "This model's maximum context length is 2000 tokens. However, your messages resulted in 9000.",
                   code="context_length_exceeded")
VAGUE = failure(400, "the request exceeds the available context size, try increasing it")


def model_of(server: OpenAIServer, *, name: str = "openai/scripted", **given: Any) -> LiteLLMModel:
    settings: dict[str, Any] = {"supports_functions": True, "timeout": 20.0, "max_tokens": 100} | given
    return LiteLLMModel(name, api_base=server.url, api_key=KEY, retries=RetryPolicy(sleep=lambda _: None), **settings)


def ask(model: LiteLLMModel, messages: list[Message]) -> list[ModelEvent]:
    return joined(model.stream(messages, system="Be brief."))


# --- how much it reads ---


def test_a_known_window_is_kept_without_being_refused() -> None:
    with OpenAIServer(say("Hi.")) as server:
        ask(model_of(server, context_window=2000), LONG)
    [request] = server.requests
    assert request["messages"][0] == {"role": "system", "content": "Be brief."}
    assert request["messages"][-1] == {"role": "user", "content": "And now?"}
    assert 1000 < client.load().token_counter(model="gpt-4o", text=json.dumps(request["messages"])) < 2400
    assert 5 < len(request["messages"]) < 40


@pytest.mark.parametrize("refusal", [TOO_LONG, VAGUE])
def test_a_window_that_only_the_server_knows_is_learned_from_its_refusals(refusal: Any) -> None:
    notices: list[str] = []
    with OpenAIServer(refusal, say("Hi."), say("Again.")) as server:
        model = model_of(server, notify=notices.append)
        assert ask(model, LONG) == [TextDelta("Hi.")]
        assert ask(model, LONG) == [TextDelta("Again.")]
    first, second, third = (len(request["messages"]) for request in server.requests)
    assert first == 1 + 20 * 4 + 1  # with the system message
    assert second < first
    assert third == second
    assert server.requests[1]["messages"][-1]["content"] == "And now?"
    assert len(notices) == 1


def test_a_server_that_refuses_whatever_it_is_sent_is_an_error_after_a_few_tries() -> None:
    with OpenAIServer(*[VAGUE] * 10) as server, pytest.raises(ModelUnavailable, match=r"longer than model|reads \d+"):
        ask(model_of(server), LONG)
    assert len(server.requests) <= 5


# --- what it costs ---


def test_the_servers_own_figures_are_entered_with_litellms_prices() -> None:
    with OpenAIServer(call("python", "1"), say("Hi.")) as server:
        model = model_of(server, name="openai/gpt-4.1")
        ask(model, [NOW])
        ask(model, [NOW])
    assert model.ledger.usage == Usage(22, 14)
    assert model.ledger.cost == pytest.approx(22 * 2e-6 + 14 * 8e-6)


@pytest.mark.parametrize(("name", "given", "cost", "unpriced"), [
    ("openai/scripted", {}, 0.0, 1), ("openai/scripted", {"free": True}, 0.0, 0),
])
def test_an_unknown_price_is_counted_and_not_made_up(name: str, given: Any, cost: float, unpriced: int) -> None:
    with OpenAIServer(say("Hi.")) as server:
        model = model_of(server, name=name, **given)
        ask(model, [NOW])
    assert (model.ledger.cost, model.ledger.unpriced) == (cost, unpriced)


def test_an_answer_that_is_hung_up_on_is_counted_all_the_same() -> None:
    with OpenAIServer(say("Look:\n```python\nprint(1)\n```\n", "It printed 1. " * 50)) as server:
        model = model_of(server, name="openai/gpt-4.1", supports_functions=False)
        events = ask(model, [NOW])
    assert events[-1] == CodeEnd()
    assert 60 < model.ledger.usage.prompt_tokens < 110  # the instructions on fences are most of it
    assert 5 <= model.ledger.usage.completion_tokens <= 20
    assert model.ledger.cost > 0


def test_an_answer_that_is_abandoned_is_counted_all_the_same() -> None:
    hold = threading.Event()
    with OpenAIServer(say("One. ", "Two. ", "Three.").held(hold, b"Three")) as server:
        model = model_of(server)
        events = model.stream([NOW], system="Be brief.")
        assert prose(islice(events, 2)) == "One. Two. "
        events.close()
        hold.set()
    assert model.ledger.usage.prompt_tokens > 50
    assert 3 <= model.ledger.usage.completion_tokens <= 6


def test_budget_reached_stops_before_the_next_call_and_says_the_sum() -> None:
    with OpenAIServer(say("Hi."), say("Never.")) as server:
        model = model_of(server, name="openai/gpt-4.1", max_budget=0.0005)
        ask(model, [NOW])
        model.ledger.add(Usage(), 0.0004)
        with pytest.raises(BudgetReached, match=r"\$0.00050 is reached: \$0.00048 are spent, and the next request"):
            ask(model, [NOW])
    assert len(server.requests) == 1


def test_a_budget_on_a_model_of_unknown_price_is_refused_before_the_first_call() -> None:
    with OpenAIServer(say("Never.")) as server, pytest.raises(ModelNotConfigured, match="price of model 'openai/scri"):
        ask(model_of(server, max_budget=1.0), [NOW])
    assert server.requests == []


def test_tries_that_came_to_nothing_cost_nothing() -> None:
    with OpenAIServer(failure(429), failure(500), say("Hi.")) as server:
        model = model_of(server)
        ask(model, [NOW])
    assert model.ledger.usage == Usage(11, 7)


def test_measuring_is_exact_once_litellm_is_there() -> None:
    litellm = client.load()
    with OpenAIServer() as server:
        model = model_of(server, name="openai/gpt-4.1")
    count = litellm.token_counter(model="gpt-4.1", text="And now?")
    assert model.measure([NOW, NOW], system="S") - model.measure([NOW], system="S") == count + tokens.PER_ENTRY


# --- pictures ---

PICTURES: list[Message] = [
    {"role": "user", "type": "message", "content": "Look."},
    {"role": "user", "type": "image", "format": "base64.png", "content": base64_png()},
    {"role": "user", "type": "image", "format": "url", "content": "https://pictures.invalid/cat.png"},
]


def test_pictures_reach_the_server_and_addresses_are_passed_on_as_they_are() -> None:
    with OpenAIServer(say("A cat.")) as server:
        ask(model_of(server, vision=True), PICTURES)
    text, picture, url = server.requests[0]["messages"][-1]["content"]
    assert text == {"type": "text", "text": "Look."}
    assert picture["image_url"]["url"] == f"data:image/png;base64,{base64_png()}"
    assert url["image_url"]["url"] == "https://pictures.invalid/cat.png"


def test_a_model_that_is_not_known_to_see_gets_none() -> None:
    with OpenAIServer(say("A cat?")) as server:
        ask(model_of(server), PICTURES)
    assert isinstance(server.requests[0]["messages"][-1]["content"], str)


def test_an_address_is_never_fetched_here_also_where_the_provider_would_need_it(notices: list[str]) -> None:
    fetched: list[str] = []

    def spy(handler: BaseHTTPRequestHandler) -> None:
        fetched.append(handler.path)
        page(b"")(handler)

    with serving() as start, OpenAIServer(failure(400, "enough")) as server:
        url = f"http://127.0.0.1:{start(spy)}/cat.png"
        message: Message = {"role": "user", "type": "image", "format": "url", "content": url}
        model = LiteLLMModel("anthropic/claude-sonnet-4-5", api_base=server.url, api_key=KEY, notify=notices.append,
                             retries=RetryPolicy(sleep=lambda _: None))
        with pytest.raises(ModelError):
            ask(model, [NOW, message])
    assert fetched == []
    assert url in json.dumps(server.requests)
    assert notices == ["This provider takes no addresses of pictures; the model gets them as text."]


# --- what is sent ---


def test_all_that_is_sent_is_shown_without_the_key() -> None:
    shown: list[str] = []
    with OpenAIServer(say("Hi.")) as server:
        ask(model_of(server, show=shown.append, secrets=("hunter2-hunter2",)), [
            {"role": "user", "type": "message", "content": f"My key is {KEY}, and hunter2-hunter2."}])
    [text] = shown
    assert KEY not in text
    assert "hunter2-hunter2" not in text
    assert json.loads(text)["messages"][1]["content"] == "My key is …, and …."
    assert json.loads(text)["tools"][0]["function"]["name"] == "execute"


# --- Ollama ---


@pytest.fixture
def ollama() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give the address of a server that speaks Ollama's protocol, and the bodies that it gets."""
    asked: list[dict[str, Any]] = []
    tool = {"function": {"name": "execute", "arguments": {"language": "python", "code": "10+12"}}}
    lines = [{"message": {"role": "assistant", "content": "I add."}, "done": False},
             {"message": {"role": "assistant", "content": "", "tool_calls": [tool]}, "done": False},
             {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop",
              "prompt_eval_count": 33, "eval_count": 5}]
    body = b"".join(json.dumps({"model": "m", "created_at": "2025-01-01T00:00:00Z", **line}).encode() + b"\n"
                    for line in lines)

    def chat(handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        asked.append(json.loads(handler.rfile.read(length) or b"{}"))
        page(body)(handler)

    with serving() as start:
        yield f"http://127.0.0.1:{start(chat)}", asked


def test_ollama_is_told_how_much_it_reads_so_that_it_drops_nothing_unsaid(
        ollama: tuple[str, list[dict[str, Any]]]) -> None:
    address, asked = ollama
    model = LiteLLMModel("ollama_chat/some-model", api_base=address, supports_functions=True, ledger=Ledger())
    events = ask(model, LONG)
    assert events == [TextDelta("I add."), CodeDelta("python", "10+12"), CodeEnd()]
    [request] = asked
    assert request["options"]["num_ctx"] == 8192
    assert request["messages"][-1]["content"] == "And now?"
    assert (model.ledger.usage, model.ledger.cost, model.ledger.unpriced) == (Usage(33, 5), 0.0, 0)


def test_a_call_that_is_malformed_is_measured_too() -> None:
    with OpenAIServer(raw_call("execute", "10+12executeexecute")) as server:
        model = model_of(server)
        ask(model, [NOW])
    assert model.ledger.usage == Usage(11, 7)
