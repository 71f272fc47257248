"""What the seed's % commands are promised to do, row by row (tests/seed_contract.py), in a chat with a real sandbox."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox_interpreter import magics
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import fold
from tests.support.chats import chat, outputs, point
from tests.support.openai_server import OpenAIServer, call, say
from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let files without a folder be in an empty one."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "cwd"


def answer(interpreter: Interpreter, text: str) -> str:
    """Return what a command says."""
    return "".join(message["content"] for message in fold(magics.run(interpreter, text)))


def test_reset_forgets_undo_drops_the_last_message_and_all_after_it_and_help_lists_all(
        interpreter: Interpreter) -> None:
    with OpenAIServer(call("python", "x = 1"), say("Set."), call("python", "x = 2"), say("Again."), say("Hm."),
                      call("python", "x"), say("Gone.")) as server:
        point(interpreter, server)
        first = interpreter.chat("One.", display=False)
        interpreter.chat("Two.", display=False)
        assert "“Two.”" in answer(interpreter, "%undo")
        assert interpreter.messages == first
        interpreter.chat("Three.", display=False)
        assert "Two." not in json.dumps(server.requests[4])
        assert "Forgotten" in answer(interpreter, "%reset")
        assert interpreter.messages == []
        assert "NameError" in outputs(interpreter.chat("x?", display=False))[0]
    for name in ("help", "% COMMAND", "sandbox", "info", "tokens", "reset", "undo", "save_message", "load_message",
                 "jupyter", "markdown", "upload", "download", "auto_run", "debug"):
        assert f"`%{name}" in answer(interpreter, "%help")


@pytest.mark.parametrize("path", ["", "talk of today.json"])
def test_save_message_and_load_message_keep_a_conversation_as_json(
        interpreter: Interpreter, here: Path, path: str) -> None:
    messages, _ = chat(interpreter, call("python", "print('雨')"), say("Rain."))
    answer(interpreter, f"%save_message {path}")
    assert json.loads((here / (path or "messages.json")).read_text("utf-8")) == messages
    interpreter.reset()
    answer(interpreter, f"%load_message {path}")
    assert interpreter.messages == messages
    _, [request] = chat(interpreter, say("Yes."), prompt="And?")
    assert "Rain." in json.dumps(request)


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b'"text"', b'[{"role": "nobody", "content": "x"}]',
                                     b'[{"content": 1}]', b"[" * 100_000])
def test_load_message_of_a_missing_or_malformed_file_is_told_and_nothing_is_lost(
        interpreter: Interpreter, here: Path, content: bytes | None) -> None:
    interpreter.messages = [{"role": "user", "type": "message", "content": "kept"}]
    if content is not None:
        (here / "messages.json").write_bytes(content)
    with pytest.raises(SandboxInterpreterError, match=r"messages\.json") as caught:
        answer(interpreter, "%load_message")
    assert caught.value.next_step
    assert [message["content"] for message in interpreter.messages] == ["kept"]


def test_tokens_tells_tokens_and_cost_of_the_next_request_of_a_prompt_and_the_total(interpreter: Interpreter) -> None:
    with OpenAIServer(say("Hi."), say("Hi again.")) as server:
        point(interpreter, server)
        interpreter.model, spent = "openai/gpt-4.1", interpreter.usage
        interpreter.chat("Hello.", display=False)
        told = answer(interpreter, "%tokens What is the weather like today?").splitlines()
        following = interpreter.tokens("What is the weather like today?")
        interpreter.chat("What is the weather like today?", display=False)
    assert [line.split("**")[1] for line in told] == ["next request", "this prompt", "next request with it", "so far"]
    assert all("$0.00" in line for line in told)
    assert not any("about" in line for line in told)
    assert following.total_tokens == following.request_tokens + following.prompt_tokens
    assert 7 <= following.prompt_tokens - 4 <= 9
    assert f"{spent.prompt_tokens + 11:,} tokens read" in told[-1]
    interpreter.model = "openai/nobody-knows"
    assert answer(interpreter, "%tokens").splitlines()[0].endswith("tokens, price not known")


def test_shell_lines_run_in_the_sandbox(interpreter: Interpreter) -> None:
    assert answer(interpreter, "%% cd /tmp; echo $((6 * 7)) > f") == ""
    assert answer(interpreter, "%% cat f; pwd; id -u").splitlines()[:2] == ["42", "/tmp"]
    assert answer(interpreter, "%%id -u").strip() != "0"
    assert interpreter.messages == []


def test_auto_run_and_debug_are_switched(interpreter: Interpreter) -> None:
    for setting in ("auto_run", "debug"):
        for argument, value in (("false", False), ("", True), ("false", False), ("true", True)):
            answer(interpreter, f"%{setting} {argument}")
            assert getattr(interpreter, setting) is value


def test_info_and_sandbox_tell_what_is_in_force(interpreter: Interpreter) -> None:
    interpreter.model = "demo"
    assert "The settings name the model demo." in answer(interpreter, "%info")
    told = answer(interpreter, "%sandbox")
    for fact in ("image", "container", "/workspace", "network", "memory", "processors", "processes", "time per run"):
        assert f"**{fact}**" in told


def test_jupyter_and_markdown_export_the_conversation(interpreter: Interpreter, here: Path) -> None:
    chat(interpreter, call("python", "print(6 * 7)"), say("It is 42."))
    answer(interpreter, "%jupyter talk.ipynb")
    answer(interpreter, "%markdown talk.md")
    cells = json.loads((here / "talk.ipynb").read_text())["cells"]
    assert "print(6 * 7)" in ["".join(cell["source"]) for cell in cells]
    assert "It is 42." in (here / "talk.md").read_text()


def test_upload_and_download_copy_files_in_and_out(interpreter: Interpreter, here: Path) -> None:
    (here / "データ.csv").write_text("a\n1\n")
    answer(interpreter, "%upload データ.csv 'in/my data.csv'")
    assert answer(interpreter, "%% cat 'in/my data.csv'; cp 'in/my data.csv' 結果.csv") == "a\n1\n"
    answer(interpreter, "%download '*.csv' back")
    assert (here / "back" / "結果.csv").read_text() == "a\n1\n"


@pytest.mark.parametrize(("typed", "near"), [("%undoo", "%undo"), ("%token", "%tokens [PROMPT]"), ("%Savemessage",
                         "%save_message [PATH]"), ("%magic", None)])
def test_an_unknown_command_says_so_and_names_the_nearest(
        interpreter: Interpreter, typed: str, near: str | None) -> None:
    told = answer(interpreter, typed)
    assert told.startswith("Unknown command `%")
    assert (f"Did you mean `{near}`?" in told) is bool(near)
    assert "`%help` lists all." in told


def test_interpreter_opens_an_interactive_chat(sbi: Commands) -> None:
    code = "import time\ntotal = 40\ntime.sleep(2)\nprint('sum', total + 2)"
    with OpenAIServer(call("python", code, text="I **add**:\n\n- one\n"), say("It is `42`.")) as server, Terminal(
            [SBI], columns=100, cwd=str(sbi.folder),
            env={"TMPDIR": str(sbi.temporary), "SBI_MODEL": "openai/scripted", "SBI_API_BASE": server.url,
                 "SBI_API_KEY": "k", "SBI_SUPPORTS_FUNCTIONS": "1"}) as terminal:
        sbi.pids.append(terminal.pid)
        terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">", 60)
        terminal.send("add\n")
        terminal.wait_for("Run this code? (y/n/e)", 60)
        terminal.send("y\n")
        terminal.wait_for(lambda: any(row.startswith("▶") and "time.sleep(2)" in row for row in terminal.rows), 60)
        terminal.wait_for("It is 42.", 60)
        rows = terminal.rows
        terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">", 60)
        terminal.send("\x04")
        assert terminal.wait_for_end() == 0
    assert "I add:" in rows  # Markdown
    assert rows.index("sum 42") > next(at for at, row in enumerate(rows) if "print('sum', total + 2)" in row)
    assert "\x1b[38;5;" in terminal.raw  # highlighted
