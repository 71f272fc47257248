"""The prompt of `sbi chat` in a pseudo-terminal: keys, history, several lines, what is typed ahead."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox_interpreter.config import data_folder
from sandbox_interpreter.sessions import log, store
from tests.support.sbi_process import SBI
from tests.support.terminal import Terminal, python

Open = Callable[..., Terminal]
PASTE, PASTED = "\x1b[200~", "\x1b[201~"
UP, LEFT = "\x1b[A", "\x1b[D"
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\u202e"


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Open]:
    """Give a function that opens a chat with a model that answers every prompt with "So be it.", and runs nothing."""
    script = tmp_path / "script.yaml"
    script.write_text("repeat: true\nturns: [{text: So be it.}]\n")
    with ExitStack() as stack:
        def open_chat(*flags: str, columns: int = 80, rows: int = 24, **env: str) -> Terminal:
            return stack.enter_context(Terminal([SBI, "chat", "-m", f"scripted:{script}", *flags], cwd=str(tmp_path),
                                                columns=columns, rows=rows, env=env))

        yield open_chat


def prompted(terminal: Terminal, text: str = ">") -> Terminal:
    """Wait until the cursor is in a row that holds ``text`` alone."""
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == text, 60)
    return terminal


def wait_for_row(terminal: Terminal, row: str) -> None:
    terminal.wait_for(lambda: row in terminal.screen)


def answered(terminal: Terminal, times: int = 1) -> Terminal:
    terminal.wait_for(lambda: terminal.text.count("So be it.") >= times, 60)
    return prompted(terminal)


def left(terminal: Terminal) -> None:
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    assert terminal.is_cooked


def asked() -> list[str]:
    """Return the prompts that the model got, in all sessions, the oldest first."""
    return [entry["content"] for session in reversed(store.every()) for entry in log.read(session.events).entries
            if entry.get("role") == "user"]


def test_prompts_of_earlier_sessions_are_recalled(chat: Open) -> None:
    first = prompted(chat())
    first.send("tell me of rain\r")
    left(answered(first))
    second = prompted(chat())
    second.send(UP)
    prompted(second, "> tell me of rain")
    second.send("bows\r")
    left(answered(second))
    assert asked() == ["tell me of rain", "tell me of rainbows"]


def test_earlier_prompts_are_searched(chat: Open) -> None:
    data_folder().mkdir(parents=True)
    (data_folder() / "prompts.jsonl").write_text('"count the rows"\n"plot the rain"\n')
    terminal = prompted(chat())
    terminal.send("\x12coun")
    terminal.wait_for("> count the rows")
    terminal.send("\r\r")  # the first ends the search
    left(answered(terminal))
    assert asked() == ["count the rows"]


def test_tab_completes_and_enter_takes_what_is_chosen_from_the_menu(chat: Open) -> None:
    terminal = prompted(chat())
    terminal.send("%und\t")
    prompted(terminal, "> %undo")
    terminal.send("\r")
    terminal.wait_for("There is nothing to undo.")
    prompted(terminal).send("%auto_run \t")
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row + 2].strip() == "false")
    for value in ("true", "false"):
        terminal.send("\t")
        prompted(terminal, f"> %auto_run {value}")
    terminal.send("\r")
    prompted(terminal, "> %auto_run false")
    terminal.send("\r")
    terminal.wait_for("You are asked before code runs")
    left(prompted(terminal))


def test_a_chat_opens_in_a_program_whose_event_loop_runs(tmp_path: Path) -> None:
    program = ("import asyncio\nfrom sandbox_interpreter import Interpreter\nasync def main():\n"
               "    with Interpreter(model='demo') as interpreter:\n        interpreter.chat()\n        print('left')\n"
               "asyncio.run(main())\n")
    with Terminal(python(program), cwd=str(tmp_path)) as terminal:
        prompted(terminal).send("%undo\r")
        terminal.wait_for("There is nothing to undo.")
        left(prompted(terminal))
        assert "left" in terminal.text


def test_no_secret_is_kept_for_later_sessions(chat: Open) -> None:
    terminal = prompted(chat(OPENAI_API_KEY="sk-verysecret1"))
    terminal.send("is sk-verysecret1 good?\r")
    left(answered(terminal))
    file = data_folder() / "prompts.jsonl"
    assert json.loads(file.read_text()) == "is [secret OPENAI_API_KEY] good?"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_prompt_between_triple_quotes_has_several_lines(chat: Open) -> None:
    terminal = prompted(chat())
    terminal.send('"""\r')
    prompted(terminal, "|")
    terminal.send('def f():\r    """Doc."""\r')
    prompted(terminal, "|")
    terminal.send('"""\r')
    left(answered(terminal))
    assert asked() == ['def f():\n    """Doc."""']


def test_alt_enter_does_what_enter_does_not(chat: Open) -> None:
    terminal = prompted(chat())
    terminal.send("one\x1b\rtwo\r")
    answered(terminal)
    terminal.send('"""three\x1b\r')
    left(answered(terminal, 2))
    assert asked() == ["one\ntwo", '"""three']


def test_what_is_pasted_keeps_its_lines_and_is_one_prompt(chat: Open) -> None:
    terminal = prompted(chat())
    text = "".join(f"line {number}: 日本語 {'x' * 60}\r\n" for number in range(400))
    terminal.send(f"{PASTE}look:\r\n\r\n\tthis{PASTED}")
    terminal.wait_for("this")
    terminal.send("\r")
    answered(terminal)
    terminal.send(f"{PASTE}{text}{PASTED}")
    terminal.wait_for("line 399")
    terminal.send("\r")
    left(answered(terminal, 2))
    assert asked() == ["look:\n\n\tthis", text.strip().replace("\r\n", "\n")]


def test_the_prompt_is_opened_in_the_editor(chat: Open, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nstty -a <&2 | grep -qw -- echo && sed -i 's/draft/final\\nversion/' \"$1\"\n")
    editor.chmod(0o755)
    terminal = prompted(chat(EDITOR=str(editor)))
    terminal.send("a draft\x18\x05")
    prompted(terminal, "| version")
    terminal.send("!\r")
    answered(terminal)
    assert asked() == ["a final\nversion!"]
    left(terminal)


def test_an_editor_that_fails_loses_nothing(chat: Open) -> None:
    terminal = prompted(chat(EDITOR="/nonexistent/editor"))
    terminal.send("a draft\x18\x05")
    terminal.wait_for("The editor failed: /nonexistent/editor")
    prompted(terminal, "> a draft")
    terminal.send("\r")
    left(answered(terminal))
    assert asked() == ["a draft"]


def test_the_cursor_stands_right_among_wide_characters(chat: Open) -> None:
    terminal = prompted(chat(columns=20))
    terminal.send("日本語😀ab")
    prompted(terminal, "> 日本語😀ab")
    assert terminal.cursor_column == 2 + 4 * 2 + 2
    terminal.send(LEFT * 4)
    terminal.wait_for(lambda: terminal.cursor_column == 2 + 2 * 2)
    terminal.send("の")
    prompted(terminal, "> 日本の語😀ab")
    terminal.send("\x05漢字の長い入力")
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row].strip() == "長い入力")
    terminal.send("\r")
    left(answered(terminal))
    assert asked() == ["日本の語😀ab漢字の長い入力"]


def test_a_narrow_window_that_changes_its_size(chat: Open) -> None:
    terminal = prompted(chat(columns=12, rows=6))
    terminal.send("one two three four")
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row].strip() == "ree four")
    terminal.resize(40, 12)
    terminal.send(" five")
    terminal.wait_for(lambda: "> one two three four five" in terminal.screen)
    terminal.send("\r")
    left(answered(terminal))
    assert asked() == ["one two three four five"]


@pytest.mark.parametrize("keys", ["", "\x01", LEFT * 40])
def test_a_window_that_becomes_narrower_keeps_no_copy_of_the_prompt(keys: str, chat: Open) -> None:
    words = " ".join(f"word{number:02}" for number in range(20))
    terminal = prompted(chat(columns=100, rows=50))
    terminal.send(words)
    terminal.wait_for(lambda: "word19" in terminal.text)
    terminal.send(keys)
    for columns in (60, 41, 23):
        first_row = f"> {words}"[:columns].rstrip()
        terminal.watch(0.3)
        terminal.narrow(columns)
        wait_for_row(terminal, first_row)
        terminal.watch(1)  # a second look at the size, half a second after the first
        assert terminal.text.count("word00") == 1
        assert terminal.text.count("word19") == 1
        assert "Ctrl-D" in terminal.text.replace("\n", "")
    terminal.send("\r")
    left(answered(terminal))
    assert asked() == [words]


def test_ctrl_c_clears_all_lines(chat: Open) -> None:
    terminal = prompted(chat())
    terminal.send('"""\rhalf a')
    prompted(terminal, "| half a")
    terminal.send("\x03")
    prompted(terminal)
    terminal.send("whole\r")
    left(answered(terminal))
    assert asked() == ["whole"]


@pytest.mark.parametrize("flags", [(), ("--plain",)])
def test_what_is_typed_before_the_prompt_stands_is_for_it(chat: Open, flags: tuple[str, ...]) -> None:
    terminal = chat(*flags)
    terminal.send("日本 one\rtwo\n\x04")
    assert terminal.wait_for_end(60) == 0
    assert asked() == ["日本 one", "two"]
    assert terminal.is_cooked


def test_what_is_typed_during_an_answer_is_for_the_next_prompts(chat: Open, tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(
        f"repeat: true\nturns: [{{text: {'word ' * 60}So be it.}}]\ndelay: 0.01\n")
    terminal = prompted(chat())
    terminal.send("one\r")
    terminal.wait_for("word word")
    terminal.send("twoo\x7f\rthree\r\x04")
    assert terminal.wait_for_end(60) == 0
    assert asked() == ["one", "two", "three"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_prompt_leaves_a_terminal_that_works(chat: Open, number: signal.Signals) -> None:
    terminal = prompted(chat())
    assert not terminal.is_cooked
    os.kill(terminal.pid, number)
    assert terminal.wait_for_end() == 128 + number
    assert terminal.is_cooked


def test_a_window_that_closes_ends_the_chat(chat: Open) -> None:
    terminal = prompted(chat())
    terminal.hang_up()
    deadline = time.monotonic() + 20
    while ") Z " not in Path(f"/proc/{terminal.pid}/stat").read_text():
        assert time.monotonic() < deadline, "the chat goes on without a terminal"
        time.sleep(0.05)


def test_hostile_prompts_of_the_past_are_shown_and_not_obeyed(chat: Open) -> None:
    data_folder().mkdir(parents=True)
    (data_folder() / "prompts.jsonl").write_text(json.dumps(f"read {HOSTILE}x.csv") + "\n")
    terminal = prompted(chat())
    terminal.send(UP)
    terminal.wait_for("x.csv")
    assert "\x1b]52" not in terminal.raw
    assert "\u202e" not in terminal.raw
    terminal.send("\x03")
    left(prompted(terminal))


def test_hostile_names_are_completed_shown_and_not_obeyed(chat: Open, tmp_path: Path) -> None:
    for end in "ab":
        (tmp_path / f"evil{HOSTILE}{end}").touch()
    terminal = prompted(chat())
    terminal.send("read evi\t\t")
    terminal.wait_for(lambda: terminal.text.count("␛]52;c;aGk=␇␛[2J⟨U+202E⟩") == 2)
    assert "\x1b]52" not in terminal.raw
    assert "\u202e" not in terminal.raw
    terminal.send("\x03")
    left(prompted(terminal))


def test_no_question_is_put_to_the_terminal(chat: Open) -> None:
    terminal = prompted(chat())
    terminal.send("hi\r")
    left(answered(terminal))
    assert "\x1b[6n" not in terminal.raw
    assert "WARNING" not in terminal.text


@pytest.mark.parametrize(("flags", "env"), [(("--plain",), {}), ((), {"TERM": "dumb"})])
def test_plain_lines_are_read_without_escapes(chat: Open, flags: tuple[str, ...], env: dict[str, str]) -> None:
    terminal = chat(*flags, **env)
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">")
    terminal.send('"""\n')
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == "|")
    terminal.send('one\ntwo"""\n')
    terminal.wait_for("So be it.")
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row].startswith(">"))
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    assert asked() == ["one\ntwo"]
    assert "\x1b[" not in terminal.raw.replace("\x1b[?2004h", "").replace("\x1b[?2004l", "")
