"""sbi chat: safe_mode in a terminal, models on this machine, and what a model is told and sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.config import Settings
from sandbox_interpreter.models.choose import PROVIDERS
from sandbox_interpreter.prompts import system_prompt
from tests.support.openai_server import OpenAIServer, call, say
from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal

DANGER = "import os\nos.system('echo ran ' + '4' + '2')\n"
Open = Callable[..., Terminal]


@pytest.fixture
def task(sbi: Commands, tmp_path: Path) -> Iterator[Open]:
    """Give a function that opens a terminal in which a scripted model does a task of one block."""
    with ExitStack() as stack:
        def open_task(code: str, *flags: str, **env: str) -> Terminal:
            script = tmp_path / "script.yaml"
            script.write_text(yaml.safe_dump({"turns": [{"text": "Look.", "code": code}, {"text": "Done."}]}))
            terminal = stack.enter_context(Terminal(
                [SBI, "chat", "-m", f"scripted:{script}", *flags, "go"], columns=100, rows=30, cwd=str(sbi.folder),
                env={"TMPDIR": str(sbi.temporary), **env}))
            sbi.pids.append(terminal.pid)
            return terminal

        yield open_task


# --- safe_mode ---


@pytest.mark.parametrize("flags", [
    ("--safe-mode", "auto"), ("--safe_mode", "auto", "-y"), ("--safe-mode=auto", "--plain"),
])
def test_safe_mode_auto_shows_what_was_found_and_asks_also_where_code_would_run_unasked(
        flags: tuple[str, ...], task: Open) -> None:
    terminal = task(DANGER, *flags)
    terminal.wait_for("Run this code? (y/n/e)", 60)
    assert "Scanned with bandit: 1 found." in terminal.text
    assert "line 2, high: Starting a process with a shell" in terminal.text
    assert "ran 42" not in terminal.text
    terminal.send("y\n")
    terminal.wait_for("ran 42", 60)
    assert terminal.wait_for_end() == 0


def test_a_clean_block_is_said_to_be_clean_and_asked_for_all_the_same(task: Open) -> None:
    terminal = task("print(40 + 2)", "--safe-mode", "auto", "-y")
    terminal.wait_for("Scanned with bandit: nothing found.", 60)
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.send("n\n")
    assert terminal.wait_for_end() == 0
    assert "the user declined it" in terminal.text


@pytest.mark.parametrize(("reply", "scanned"), [("y", True), ("n", False)])
def test_safe_mode_ask_offers_to_scan(reply: str, scanned: bool, task: Open) -> None:
    terminal = task(DANGER, "--safe-mode", "ask", "-y")
    terminal.wait_for("Scan this code first? (y/n)", 60)
    terminal.send(f"{reply}\n")
    terminal.wait_for("Run this code? (y/n/e)", 60)
    assert ("Scanned with bandit: 1 found." in terminal.text) is scanned
    terminal.send("n\n")
    assert terminal.wait_for_end() == 0
    assert "ran 42" not in terminal.text


def test_code_that_was_made_dangerous_in_the_editor_is_scanned_and_asked_for_again(task: Open, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\ncat > \"$1\" <<'END'\n{DANGER}END\n")
    editor.chmod(0o755)
    terminal = task("print('harmless')", "--safe-mode", "auto", VISUAL=str(editor))
    terminal.wait_for("Scanned with bandit: nothing found.", 60)
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.send("e\n")
    terminal.wait_for("Scanned with bandit: 1 found.", 60)
    terminal.wait_for(lambda: terminal.text.count("Run this code?") == 2)
    terminal.send("n\n")
    assert terminal.wait_for_end() == 0
    assert "ran 42" not in terminal.text


def test_where_nobody_can_be_asked_safe_mode_lets_nothing_run_and_says_so(sbi: Commands, tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(yaml.safe_dump({"turns": [{"code": "print(40 + 2)"}, {"text": "Done."}]}))
    ended = sbi("chat", "-m", f"scripted:{script}", "-y", "--safe-mode", "auto", "go")
    assert "To run it without asking: --auto-run --safe-mode off" in ended.said
    assert "42" not in ended.out.decode()


# --- what a model is told and sent ---


def test_show_prompt_prints_what_the_model_is_told(sbi: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(say("Hi.")) as server:
        flags = ("--timeout", "90", "--network", "full")
        shown = sbi("chat", "--show-prompt", *flags).out.decode()
        sbi("chat", "-m", "openai/scripted", "--api-base", server.url, *flags, "hello",
            env={"SBI_SUPPORTS_FUNCTIONS": "1"})
    assert shown == f"{system_prompt(Settings(timeout=90.0, network='full'))}\n"
    assert server.requests[0]["messages"][0] == {"role": "system", "content": shown.rstrip("\n")}


def test_a_budget_ends_the_turn_before_the_next_call_and_says_the_sum(sbi: Commands) -> None:
    with OpenAIServer(call("python", "print('word ' * 3000)"), say("Never.")) as server:
        ended = sbi("chat", "-m", "openai/gpt-4.1", "--api-base", server.url, "--api-key", "none", "-y",
                    "--max-budget", "0.0025", "go")
    assert (ended.code, len(server.requests)) == (125, 1)
    assert "The budget of $0.0025 is reached: $0.000078 are spent, and the next request" in ended.said


# --- models on this machine ---


def test_a_server_on_this_machine_answers_where_nothing_is_configured_and_that_is_said(
        sbi: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS:
        monkeypatch.delenv(provider.variable, raising=False)
    with OpenAIServer(say("Hi."), port=1234, models=["qwen-coder"]), Terminal(
            [SBI, "chat"], columns=150, cwd=str(sbi.folder), env={"SBI_LOCAL": ""}) as terminal:
        terminal.wait_for("LM Studio answers on this machine, so openai/qwen-coder does.", 60)
        terminal.send("hello\n")
        terminal.wait_for("Hi.", 60)
        leave(terminal)


def leave(terminal: Terminal) -> None:
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">", 60)
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
