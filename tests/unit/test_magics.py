from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox_interpreter import magics
from sandbox_interpreter.config import Settings
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import fold
from sandbox_interpreter.models.ledger import Usage


@pytest.fixture
def interpreter() -> Interpreter:
    return Interpreter(Settings(model="demo", memory=512 * 2**20, timeout=30))


def answer(interpreter: Interpreter, text: str) -> str:
    chunks = list(magics.run(interpreter, text))
    assert [chunk.get("start") for chunk in chunks] == [True, *[None] * (len(chunks) - 1)]
    assert chunks[-1].get("end") is True
    message, = fold(chunks)
    assert message["role"] == "computer"
    return message["content"]


@pytest.mark.parametrize("text", ["%help", "%undo", " %reset ", "%% ls", "%%ls -l", "%nosuch", "%debug false", "%HELP",
                                  "%save-message"])
def test_a_command_is_told_from_a_prompt(text: str) -> None:
    assert magics.is_magic(text)


@pytest.mark.parametrize("text", ["", "help", "% of what?", "100% sure", "what is %help", "%", "%-d", "%d%%"])
def test_a_prompt_is_no_command(text: str) -> None:
    assert not magics.is_magic(text)


@pytest.mark.parametrize("typed", ["%auto_run false", "%auto-run false", "%Auto-Run FALSE"])
def test_a_command_may_be_written_with_dashes(interpreter: Interpreter, typed: str) -> None:
    assert "You are asked" in answer(interpreter, typed)


def test_help_lists_every_command(interpreter: Interpreter) -> None:
    shown = answer(interpreter, "%help")
    for name in ("%help", "%% COMMAND", "%sandbox", "%info", "%reset", "%undo", "%tokens [PROMPT]",
                 "%auto_run [true|false]", "%debug"):
        assert f"`{name}" in shown


def test_the_documentation_lists_every_command_with_the_same_words(interpreter: Interpreter) -> None:
    documented = Path(__file__).parents[2].joinpath("docs/chat.md").read_text("utf-8").replace("\\|", "|")
    for line in answer(interpreter, "%help").splitlines():
        _, usage, purpose = line.split("`")
        assert f"| `{usage}` | {purpose.strip()} |" in documented


@pytest.mark.parametrize(("typed", "near"), [("%hlep", "%help"), ("%undoo", "%undo"), ("%autorun", "%auto_run"),
                                             ("%save-messag", "%save_message"), ("%sandboxes", "%sandbox")])
def test_an_unknown_command_names_the_nearest(interpreter: Interpreter, typed: str, near: str) -> None:
    shown = answer(interpreter, typed)
    assert f"Unknown command `{typed}`" in shown
    assert f"Did you mean `{near}" in shown


def test_an_unknown_command_that_is_near_to_none_names_the_list(interpreter: Interpreter) -> None:
    shown = answer(interpreter, "%xyzzy")
    assert "Did you mean" not in shown
    assert "`%help`" in shown


def test_undo_drops_the_last_prompt_and_all_after_it(interpreter: Interpreter) -> None:
    interpreter.messages = [
        {"role": "user", "type": "message", "content": "first"},
        {"role": "assistant", "type": "message", "content": "one"},
        {"role": "user", "type": "message", "content": "second\nline"},
        {"role": "assistant", "type": "code", "format": "python", "content": "1"},
        {"role": "user", "type": "code", "format": "python", "content": "2"},
        {"role": "computer", "type": "console", "format": "output", "content": "2"},
    ]
    assert "“second”" in answer(interpreter, "%undo")
    assert [message["content"] for message in interpreter.messages] == ["first", "one"]
    answer(interpreter, "%undo")
    assert interpreter.messages == []
    assert "nothing to undo" in answer(interpreter, "%undo")


def test_reset_forgets_the_messages(interpreter: Interpreter) -> None:
    interpreter.messages = [{"role": "user", "type": "message", "content": "first"}]
    assert "Files and settings stay" in answer(interpreter, "%reset")
    assert interpreter.messages == []


@pytest.mark.parametrize(("typed", "value"), [("%auto_run", True), ("%auto_run true", True), ("%auto_run off", False)])
def test_auto_run_is_switched(interpreter: Interpreter, typed: str, value: bool) -> None:
    interpreter.settings.auto_run = not value
    answer(interpreter, typed)
    assert interpreter.auto_run is value


@pytest.mark.parametrize(("typed", "value"), [("%debug", True), ("%debug true", True), ("%debug false", False)])
def test_debug_is_switched(interpreter: Interpreter, typed: str, value: bool) -> None:
    interpreter.settings.debug = not value
    answer(interpreter, typed)
    assert interpreter.settings.debug is value


def test_a_switch_that_is_neither_says_how_it_is_written(interpreter: Interpreter) -> None:
    assert "`%debug false`" in answer(interpreter, "%debug perhaps")
    assert interpreter.settings.debug is False


def test_sandbox_tells_image_limits_network_and_workspace_without_starting_it(interpreter: Interpreter) -> None:
    shown = answer(interpreter, "%sandbox")
    for fact in ("`python`", "512 MiB", "30 s", "**network**: none", "none yet", "private folder"):
        assert fact in shown
    assert interpreter.workbench.workspace is None


def test_info_tells_version_model_and_approval(interpreter: Interpreter) -> None:
    shown = answer(interpreter, "%info")
    for fact in ("demo", "once you approve it", "**messages**: 0"):
        assert fact in shown


def test_tokens_tells_the_next_request_a_prompt_and_what_was_spent(interpreter: Interpreter) -> None:
    interpreter.model, interpreter.max_budget = "openai/gpt-4.1", 0.5
    interpreter.messages = [{"content": "word " * 1000}]
    interpreter.ledger.add(Usage(2_000_000, 100), 4.0)
    # "about" as long as the tokenizer has not been loaded.
    told = re.sub(r"(about )?[\d,.]+ tokens", "N tokens", answer(interpreter, "%tokens")).splitlines()
    assert told[0].startswith("- **next request**: N tokens, $0.00")
    assert told[1:] == ["- **so far**: N tokens read and 100 written, $4.00", "- **budget**: $0.50"]
    names = [line.split("**")[1] for line in answer(interpreter, "%tokens And now?").splitlines()]
    assert names == ["next request", "this prompt", "next request with it", "so far", "budget"]


def test_tokens_makes_up_no_price(interpreter: Interpreter) -> None:
    interpreter.model = "openai/nobody-knows"
    interpreter.ledger.add(Usage(10, 10), None)
    next_request, so_far = answer(interpreter, "%tokens").splitlines()
    assert next_request.endswith("tokens, price not known")
    assert so_far.endswith("written, $0.00, without 1 of unknown price")


def test_what_is_undone_is_shown_by_cells_and_not_by_characters(interpreter: Interpreter) -> None:
    interpreter.messages = [{"content": "雨" * 100}]
    assert f"“{'雨' * 29} …”" in answer(interpreter, "%undo")


def test_a_shell_line_without_a_command_says_how_it_is_written(interpreter: Interpreter) -> None:
    assert "`%% ls -l`" in answer(interpreter, "%%")


def test_only_a_line_of_shell_waits_for_the_sandbox() -> None:
    assert magics.is_shell("%% ls")
    assert not magics.is_shell("%tokens")
    assert not magics.is_shell("ls")
