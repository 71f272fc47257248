from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ModelNotConfigured
from sandbox_interpreter.models import choose, local, scripted
from sandbox_interpreter.models.base import Preparable
from sandbox_interpreter.models.choose import Wiring
from sandbox_interpreter.models.ledger import Ledger
from sandbox_interpreter.models.litellm_model import LiteLLMModel
from sandbox_interpreter.models.local import find
from sandbox_interpreter.models.scripted import ScriptedModel
from tests.support.model_servers import Listing, listing, page, serving, silence

NAMES = {provider.variable: provider for provider in choose.PROVIDERS}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in NAMES:
        monkeypatch.delenv(variable, raising=False)


def test_without_a_model_or_a_key_the_demo_answers() -> None:
    choice = choose.choice(Settings())
    assert choice.name == "demo"
    assert "No model is configured" in choice.reason
    model = choose.choose(Settings())
    assert isinstance(model, ScriptedModel)
    assert model.name == str(scripted.DEMO)


@pytest.mark.parametrize("variable", NAMES)
def test_a_providers_key_chooses_its_model(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "k")
    choice = choose.choice(Settings())
    assert choice.name == NAMES[variable].model
    assert variable in choice.reason
    assert choose.choice(Settings(fast=True)).name == NAMES[variable].fast


def test_the_settings_win_over_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert choose.choice(Settings(model="ollama/llama3")).name == "ollama/llama3"


@pytest.mark.parametrize(("given", "name"), [
    ({"model": "anthropic/claude-opus-4-1", "fast": True}, "anthropic/claude-haiku-4-5"),
    ({"model": "ollama/llama3", "fast": True}, "ollama/llama3"),
    ({"model": "openai/gpt-4o", "vision": True}, "openai/gpt-4o"),
    ({"model": "openai/o3-mini", "vision": True}, "openai/gpt-4.1"),
    ({"model": "openai/of-ones-own", "vision": True}, "openai/of-ones-own"),
])
def test_fast_and_vision_choose_of_the_same_provider(given: dict[str, Any], name: str) -> None:
    choice = choose.choice(Settings(**given))
    assert choice.name == name
    assert given["model"] in choice.reason
    assert name in choice.reason


def test_vision_passes_over_a_provider_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "k")
    assert choose.choice(Settings(vision=True)).name == "demo"
    monkeypatch.setenv("MISTRAL_API_KEY", "k")
    assert choose.choice(Settings(vision=True)).name == NAMES["MISTRAL_API_KEY"].model


def test_a_script_is_chosen_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text("turns: [{text: a}]")
    model = choose.choose(Settings(model=f"scripted:{tmp_path / 'script.yaml'}"))
    assert isinstance(model, ScriptedModel)
    assert not isinstance(model, Preparable)


def test_any_other_name_is_litellms_and_gets_the_settings() -> None:
    told: list[str] = []
    settings = Settings(model="openai/gpt-4o", temperature=0.5, api_base="http://x/v1", api_key="secret", max_tokens=9,
                        context_window=99, max_output=50, supports_functions=False, max_budget=1.5, vision=True)
    ledger = Ledger()
    model = choose.choose(settings, Wiring(ledger, told.append, secrets=("s3cret",)))
    assert model == LiteLLMModel("openai/gpt-4o", temperature=0.5, api_base="http://x/v1", api_key="secret",
                                 max_tokens=9, context_window=99, max_output=50, supports_functions=False,
                                 max_budget=1.5, vision=True, ledger=ledger, notify=told.append, secrets=("s3cret",))
    assert isinstance(model, Preparable)
    assert "secret" not in repr(model)
    assert "s3cret" not in repr(model)


def test_the_page_on_models_names_every_provider_and_its_script_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
    for provider in choose.PROVIDERS:
        assert f"| `{provider.variable}` | `{provider.model}` | `{provider.fast}` |" in page
    (tmp_path / "example.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    assert [turn.expect for turn in scripted.load(tmp_path / "example.yaml").turns] == ["", "1 2 3"]


# --- servers on this machine ---

STUDIO, OLLAMA, LLAMA = local.KINDS
ANSWERS = {
    STUDIO.name: listing({"object": "list", "data": [{"id": "text-embedding"}, {"id": "qwen-coder"}, {"id": "phi"}]}),
    OLLAMA.name: listing({"models": [{"name": "nomic-embed-text:latest"}, {"name": "llama3.1:8b"}]}),
    LLAMA.name: listing({"models": [], "object": "list", "data": [{"id": "gemma.gguf"}]}),
}

Serve = Callable[..., list[local.Kind]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Give a function that starts servers by their kinds' names and returns all kinds with the ports that they have."""
    monkeypatch.setattr(local, "ASK_SECONDS", 3.0)  # a busy machine is no reason to fail
    with serving() as start:
        def start_all(*names: str, **others: Listing) -> list[local.Kind]:
            answers = {name: ANSWERS[name] for name in names} | {kind.name: others[key] for key, kind in (
                ("studio", STUDIO), ("ollama", OLLAMA), ("llama", LLAMA)) if key in others}
            kinds = [replace(kind, port=start(answers[kind.name]) if kind.name in answers else 1)
                     for kind in (STUDIO, OLLAMA, LLAMA)]
            monkeypatch.setattr(local, "find", partial(find, kinds))
            return kinds

        yield start_all


def test_the_usual_ports_are_asked() -> None:
    assert {kind.name: kind.port for kind in local.KINDS} == {"LM Studio": 1234, "Ollama": 11434, "llama.cpp": 8080}


def test_every_server_is_found_with_the_models_that_talk(serve: Serve) -> None:
    kinds = serve("LM Studio", "Ollama", "llama.cpp")
    assert find(kinds) == [local.Server(kinds[0], ("qwen-coder", "phi")), local.Server(kinds[1], ("llama3.1:8b",)),
                           local.Server(kinds[2], ("gemma.gguf",))]


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"[]", b"\xff", b'{"data": 3}', b"[" * 100_000,
                                  b'{"data": [{"id": 7}, 8]}', b'{"data": [{"id": "a\\u001b]52;c;b"}]}'])
def test_a_server_that_lists_nothing_sensible_names_no_model(body: bytes, serve: Serve) -> None:
    kinds = serve(llama=page(body))
    assert find(kinds) == [local.Server(kinds[2], ())]
    assert choose.choice(Settings()).name == "demo"


def test_a_server_that_hangs_is_not_waited_for(serve: Serve) -> None:
    until = threading.Event()
    kinds = serve("Ollama", studio=silence(until))
    begun = time.monotonic()
    assert [server.kind.name for server in find(kinds)] == ["Ollama"]
    assert time.monotonic() - begun < 8
    until.set()


def test_without_key_and_model_a_server_on_this_machine_answers_and_that_is_said(serve: Serve) -> None:
    ollama = serve("Ollama", "llama.cpp")[1]
    choice = choose.choice(Settings())
    assert choice.name == "ollama_chat/llama3.1:8b"
    assert choice.reason == ("No model is configured and no provider's key is set; Ollama answers on this machine, so "
                             "ollama_chat/llama3.1:8b does.")
    model = choose.choose(Settings())
    assert isinstance(model, LiteLLMModel)
    assert (model.api_base, model.context_window, model.max_tokens, model.free) == (ollama.api_base, 3000, 1000, True)


def test_a_key_a_model_and_the_setting_win_over_a_server_on_this_machine(serve: Serve,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    serve("Ollama")
    assert choose.choice(Settings(local=False)).name == "demo"
    assert choose.choice(Settings(model="openai/gpt-4o")).name == "openai/gpt-4o"
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert choose.choice(Settings()).name == "openai/gpt-4.1"


@pytest.mark.parametrize(("given", "name", "port_of"), [
    ({}, "openai/qwen-coder", 0),
    ({"model": "phi"}, "openai/phi", 0),
    ({"model": "openai/phi"}, "openai/phi", 0),
    ({"model": "llama3.1:8b"}, "ollama_chat/llama3.1:8b", 1),
    ({"model": "gemma.gguf"}, "openai/gemma.gguf", 2),
    ({"model": "not-listed"}, "openai/not-listed", 0),
])
def test_local_takes_the_model_that_is_named_wherever_it_is(
        given: dict[str, Any], name: str, port_of: int, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    kinds = serve("LM Studio", "Ollama", "llama.cpp")
    choice = choose.choice(Settings(local=True, **given))
    assert (choice.name, choice.server) == (name, kinds[port_of])
    assert f"at {kinds[port_of].api_base}, with {name}" in choice.reason
    assert "There are also: " in choice.reason


def test_local_uses_a_server_that_lists_no_models(serve: Serve) -> None:
    serve(studio=page(b"not found", status=404))
    assert choose.choice(Settings(local=True)).name == "openai/local-model"


@pytest.mark.parametrize(("given", "limits"), [
    ({}, (3000, 1000)), ({"context_window": 8000}, (8000, 1000)), ({"max_tokens": 2000}, (6000, 2000)),
    ({"context_window": 600}, (600, 200)), ({"context_window": 9000, "max_tokens": 50}, (9000, 50)),
])
def test_local_reads_3000_tokens_and_writes_1000_unless_told_otherwise(given: dict[str, Any], limits: tuple[int, int],
                                                                       serve: Serve) -> None:
    serve("LM Studio")
    model = choose.choose(Settings(local=True, **given))
    assert isinstance(model, LiteLLMModel)
    assert (model.context_window, model.max_tokens) == limits


def test_local_without_a_server_gives_the_steps_and_goes_on_once_there_is_one(serve: Serve) -> None:
    serve()
    choice = choose.choice(Settings(local=True))
    assert choice.reason == ("No model server answers on this machine so far (asked the ports 1234, 11434, 8080).\n"
                             f"{local.STEPS}")
    with pytest.raises(ModelNotConfigured, match="No model server answers") as caught:
        choose.choose(Settings(local=True)).stream([], system="")
    assert "LM Studio" in caught.value.next_step
    serve("LM Studio")
    assert isinstance(choose.choose(Settings(local=True)), LiteLLMModel)
