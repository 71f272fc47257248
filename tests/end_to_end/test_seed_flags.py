"""What the flags and settings of the seed are promised to do, row by row (tests/seed_contract.py)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.version import VERSION
from tests.support.chats import chat
from tests.support.openai_server import OpenAIServer, call, failure, say
from tests.support.pictures import png_of
from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal

KEY = {"SBI_API_KEY": "key-of-a-test"}


def test_model_is_any_litellm_model_string(sbi: Commands) -> None:
    with OpenAIServer(say("Hi.")) as server:
        ended = sbi("chat", "--model", "openai/some-model:of/mine@1", "--api_base", server.url, "hello", env=KEY)
    assert (ended.code, ended.out) == (0, b"Hi.\n")
    assert server.requests[0]["model"] == "some-model:of/mine@1"


FLAGS = {"temperature": "0.25", "api_key": "mine", "max_budget": "0.5", "max_output": "60", "context_window": "6000",
         "max_tokens": "77"}


def test_settings_of_the_model_are_flags(sbi: Commands) -> None:
    given = [word for name, value in FLAGS.items() for word in (f"--{name}", value)]
    replies = call("python", "print('y' * 1000)"), say("Done.")
    with OpenAIServer(*replies) as server:
        ended = sbi("chat", "-m", "openai/gpt-4.1", "--api_base", server.url, "-y", *given, "go " * 20_000)
    assert ended.code == 0, ended.said
    first, second = server.requests
    assert (first["temperature"], first["max_tokens"]) == (0.25, 77)
    assert server.headers[0]["authorization"] == "Bearer mine"
    assert len(json.dumps(first)) < 6000 * 5  # of 60,000 characters, a part
    assert "are left out here" in second["messages"][-1]["content"]


def test_settings_of_the_model_are_attributes(interpreter: Interpreter) -> None:
    interpreter.temperature, interpreter.max_tokens, interpreter.context_window = 0.25, 77, 6000
    interpreter.max_output = 60
    replies = call("python", "print('y' * 1000)"), say("Done.")
    messages, (first, second) = chat(interpreter, *replies, prompt="go " * 9000)
    assert (first["temperature"], first["max_tokens"]) == (0.25, 77)
    assert len(json.dumps(first)) < 6000 * 5
    assert "are left out here" in second["messages"][-1]["content"]
    assert len(messages[2]["content"]) == 1001
    interpreter.max_budget = 0
    assert (interpreter.max_budget, interpreter.api_key) == (0.0, "key-of-a-test")
    for name, value in (("temperature", "hot"), ("max_tokens", -1), ("max_budget", "much"), ("context_window", 0.5)):
        with pytest.raises(ConfigError, match=name):
            setattr(interpreter, name, value)


def test_local_uses_lm_studios_address_a_window_of_3000_and_answers_of_1000(sbi: Commands) -> None:
    replies = call("python", "print(40 + 2)"), say("It is 42.")
    with OpenAIServer(*replies, port=1234, models=["embed", "qwen-coder"]) as server:
        ended = sbi("chat", "--local", "-y", "go " * 9000, env={"SBI_LOCAL": "", "SBI_SUPPORTS_FUNCTIONS": "true"})
    assert (ended.code, ended.err) == (0, b"")
    assert "42\n" in ended.out.decode()
    assert [request["model"] for request in server.requests] == ["qwen-coder"] * 2
    assert server.requests[0]["max_tokens"] == 1000
    assert len(json.dumps(server.requests[0]["messages"])) < 2000 * 5


@pytest.mark.parametrize(("port", "said"), [
    (1234, "LM Studio answers on this machine, at http://127.0.0.1:1234/v1, with openai/qwen-coder."),
    (11434, "Ollama answers on this machine, at http://127.0.0.1:11434, with ollama_chat/qwen-coder."),
    (8080, "llama.cpp answers on this machine, at http://127.0.0.1:8080/v1, with openai/qwen-coder."),
])
def test_local_detects_a_server_on_its_usual_port(port: int, said: str, sbi: Commands) -> None:
    with OpenAIServer(port=port, models=["qwen-coder"]), Terminal(
            [SBI, "-l"], columns=150, cwd=str(sbi.folder), env={"SBI_LOCAL": ""}) as terminal:
        terminal.wait_for(said, 60)
        leave(terminal)


def test_local_without_a_server_prints_the_steps_and_the_chat_goes_on(sbi: Commands) -> None:
    with Terminal([SBI, "chat", "-l"], columns=100, rows=40, cwd=str(sbi.folder), env={"SBI_LOCAL": ""}) as terminal:
        terminal.wait_for("Install LM Studio", 60)
        terminal.wait_for("Code runs once you approve it")
        terminal.send("hello\n")
        terminal.wait_for("No model server answers on this machine.", 60)
        leave(terminal)


@pytest.mark.parametrize("between", ["_", "-"])
def test_max_tokens_must_be_smaller_than_context_window_in_either_spelling(between: str, sbi: Commands) -> None:
    ended = sbi("chat", f"--max{between}tokens", "4000", f"--context{between}window=4000", "hello")
    assert (ended.code, ended.out) == (2, b"")
    assert ended.said.splitlines() == ["max_tokens (4000) must be smaller than context_window (4000).",
                                       "Lower one or raise the other."]


UNDERSCORED = {"api_base": "http://127.0.0.1:9", "api_key": "k", "max_budget": "9", "max_tokens": "8",
               "context_window": "9", "max_output": "9", "safe_mode": "off", "config_file": "./mine.yaml"}


@pytest.mark.parametrize("between", ["_", "-"])
def test_every_underscore_flag_of_the_seed_has_both_spellings(between: str, sbi: Commands) -> None:
    (sbi.folder / "mine.yaml").write_text("system_message: I am here.\n")
    flags = {f"--{name.replace('_', between)}": value for name, value in UNDERSCORED.items()}
    for words in ([word for pair in flags.items() for word in pair], [f"{flag}={flags[flag]}" for flag in flags]):
        ended = sbi("chat", *words, f"--auto{between}run", f"--show{between}prompt")
        assert (ended.code, ended.said) == (0, "")
        assert ended.out.startswith(b"I am here.")


def test_debug_shows_what_is_sent_without_keys_and_tracebacks(sbi: Commands) -> None:
    with OpenAIServer(say("Hi."), failure(400, "no good")) as server:
        flags = ("chat", "-m", "openai/scripted", "--api-base", server.url, "--secret", "MY_WORD")
        env = {"SBI_API_KEY": "sk-verysecretkey123456", "MY_WORD": "hunter2-hunter2"}
        ended = sbi(*flags, "--debug", "my word is hunter2-hunter2", env=env)
        failed = sbi(*flags, "-d", "hello", env=env)
    assert ended.out == b"Hi.\n"
    assert '"model": "openai/scripted"' in ended.said
    assert '"content": "my word is …"' in ended.said
    assert "Traceback" in failed.said
    for secret in ("verysecretkey", "hunter2"):
        assert secret not in ended.said + failed.said
    assert server.requests[0]["messages"][-1]["content"] == "my word is hunter2-hunter2"


def test_fast_takes_the_providers_fast_model(sbi: Commands) -> None:
    with OpenAIServer(say("Hi.")) as server:
        sbi("chat", "-f", "-m", "openai/gpt-4.1", "--api-base", server.url, "hello", env=KEY)
    assert server.requests[0]["model"] == "gpt-4.1-mini"


def test_vision_attaches_images_that_the_prompt_names(sbi: Commands) -> None:
    (sbi.folder / "cat.png").write_bytes(png_of([b"\xff\0\0"]))
    with OpenAIServer(say("A cat.")) as server:
        ended = sbi("chat", "-v", "-m", "openai/scripted", "--api-base", server.url, "What is in cat.png?", env=KEY)
    assert ended.out.decode() == "Attached: cat.png\nA cat.\n"
    content = server.requests[0]["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url"]


# --- settings files ---


def edited(sbi: Commands, tmp_path: Path, *words: str) -> str:
    """Return the path that the editor was called with."""
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\nprintf '%s' \"$1\" > '{tmp_path}/opened'\n")
    editor.chmod(0o755)
    env = {"EDITOR": str(editor), "VISUAL": ""}
    with Terminal([SBI, *words], columns=150, cwd=str(sbi.folder), env=env) as terminal:
        assert terminal.wait_for_end() == 0, terminal.text
    return (tmp_path / "opened").read_text()


def test_config_opens_the_settings_in_the_editor_and_prints_their_path_without_a_terminal(
        sbi: Commands, tmp_path: Path) -> None:
    file = Path(os.environ["SBI_CONFIG_DIR"]) / "config.yaml"
    assert edited(sbi, tmp_path, "--config") == str(file)
    assert sbi("--config").out.decode() == f"{file}\n"


@pytest.mark.parametrize(("name", "place"), [("work.yaml", "config"), ("./work.yaml", "here")])
def test_config_with_config_file_creates_that_from_the_defaults_and_opens_it(
        name: str, place: str, sbi: Commands, tmp_path: Path) -> None:
    file = (Path(os.environ["SBI_CONFIG_DIR"]) if place == "config" else sbi.folder) / "work.yaml"
    assert edited(sbi, tmp_path, "--config", "--config_file", name) == str(file)
    assert "# What follows are the defaults" in file.read_text()
    file.write_text("pids: 77\n")
    edited(sbi, tmp_path, "--config", "--config_file", name)
    assert file.read_text() == "pids: 77\n"


def test_config_file_is_a_name_in_the_config_folder_or_a_path_and_a_missing_one_names_the_places(
        sbi: Commands) -> None:
    folder = Path(os.environ["SBI_CONFIG_DIR"])
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text("system_message: I am in the folder.\n")
    (sbi.folder / "mine.yaml").write_text("system_message: I am here.\n")
    for name, said in (("mine.yaml", "I am in the folder."), ("./mine.yaml", "I am here."),
                       (str(sbi.folder / "mine.yaml"), "I am here.")):
        assert sbi("--config_file", name, "--show-prompt").out.decode().startswith(f"{said}\n")
    ended = sbi("--config_file", "nowhere.yaml", "--show-prompt")
    assert ended.code == 2
    assert f"looked at {folder}/nowhere.yaml and {sbi.folder}/nowhere.yaml" in ended.said


def test_extend_config_lays_a_file_over_the_settings_and_names_the_nearest_key(
        interpreter: Interpreter, tmp_path: Path) -> None:
    interpreter.temperature, interpreter.max_output = 0.5, 70
    (tmp_path / "more.yaml").write_text("temperature: 0.75\nsystem_message: You are extended.\n")
    interpreter.extend_config(config_path=tmp_path / "more.yaml")
    _, [request] = chat(interpreter, say("Hi."))
    assert request["temperature"] == 0.75
    assert request["messages"][0]["content"].startswith("You are extended.")
    assert interpreter.max_output == 70
    (tmp_path / "wrong.yaml").write_text("max_output: 9\ntemprature: 1\n")
    with pytest.raises(ConfigError) as caught:
        interpreter.extend_config(config_path=str(tmp_path / "wrong.yaml"))
    assert caught.value.report() == (f"{tmp_path}/wrong.yaml:2: Unknown setting 'temprature'.\n"
                                     "Did you mean 'temperature'?")
    assert (interpreter.temperature, interpreter.max_output) == (0.75, 70)


def test_version_is_printed(sbi: Commands) -> None:
    assert sbi("--version").out.decode() == f"sbi {VERSION}\n"


def leave(terminal: Terminal) -> None:
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">", 60)
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
