"""sbi chat as a person meets it: in a pseudo-terminal, with real containers and scripted models."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal

FOREVER = "import time\nx = 41\nprint('up', flush=True)\nwhile True:\n    time.sleep(0.05)\n"
STUBBORN = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + FOREVER

Open = Callable[..., Terminal]


@pytest.fixture
def chat(sbi: Commands, tmp_path: Path) -> Iterator[Open]:
    """Give a function that opens a chat with a model that answers with ``turns``, each a dict or (text, code)."""
    with ExitStack() as stack:
        def open_chat(*turns: tuple[str, str], flags: tuple[str, ...] = (), repeat: bool = False, columns: int = 80,
                      rows: int = 30, **env: str) -> Terminal:
            script = tmp_path / "script.yaml"
            wanted = [{"text": text} | ({"code": code} if code else {}) for text, code in turns]
            script.write_text(yaml.safe_dump({"turns": wanted, "repeat": repeat}))
            command = [SBI, "chat", "-m", f"scripted:{script}", *flags]
            terminal = stack.enter_context(Terminal(command, columns=columns, rows=rows, cwd=str(sbi.folder),
                                                    env={"TMPDIR": str(sbi.temporary), **env}))
            sbi.pids.append(terminal.pid)
            return terminal

        yield open_chat


def prompted(terminal: Terminal, times: int = 1) -> Terminal:
    """Wait until the prompt is there for the nth time, and return the terminal."""
    terminal.wait_for(lambda: len(re.findall(r"^>", terminal.text, re.MULTILINE)) >= times
                      and terminal.screen[terminal.cursor_row] == ">", 60)
    return terminal


def leave(terminal: Terminal) -> None:
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0


def test_the_banner_tells_model_sandbox_and_the_way_out(chat: Open) -> None:
    terminal = prompted(chat(("Hi.", ""), columns=250))
    assert re.search(r"model scripted:\S+ · image python · no network", terminal.text)
    assert "once you approve it" in terminal.text
    assert "Ctrl-D leaves" in terminal.text
    leave(terminal)


def test_code_that_is_approved_runs_and_its_state_lasts(chat: Open) -> None:
    terminal = prompted(chat(("I set x.", "x = 20"), ("Set.", ""), ("I use x.", "print('sum', x + 1)"), ("Done.", "")))
    terminal.send("go\n")
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.send("y\n")
    prompted(terminal, 2)
    assert "Set." in terminal.text
    assert "Run this code?" not in terminal.text
    terminal.send("again\n")
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.send("yes\n")
    terminal.wait_for("sum 21")
    leave(prompted(terminal, 3))


def test_code_that_is_declined_does_not_run(chat: Open) -> None:
    terminal = prompted(chat(("Dangerous.", "print('r' + 'an')"), ("As you like.", "")))
    terminal.send("go\n")
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.send("maybe\n")
    terminal.wait_for("y runs it, n does not")
    terminal.send("n\n")
    prompted(terminal, 2)
    assert "As you like." in terminal.text
    assert "ran" not in terminal.text
    assert "not run" in terminal.text
    leave(terminal)


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_end_of_input_at_the_question_mean_no(chat: Open, key: str) -> None:
    terminal = prompted(chat(("Dangerous.", "print('r' + 'an')"), ("As you like.", "")))
    terminal.send("go\n")
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.send(key)
    prompted(terminal, 2)
    assert "As you like." in terminal.text
    assert not re.search(r"^ran", terminal.text, re.MULTILINE)
    leave(terminal)


def test_what_was_typed_before_the_question_does_not_answer_it(chat: Open) -> None:
    terminal = prompted(chat(("A" * 400, "print('r' + 'an')"), ("As you like.", "")))
    terminal.send("go\ny\ny\n")
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.watch(0.5)
    assert not re.search(r"^ran", terminal.text, re.MULTILINE)
    terminal.send("n\n")
    leave(prompted(terminal, 2))


def test_code_is_edited_before_it_runs(chat: Open, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/first/second/' \"$1\"\n")
    editor.chmod(0o755)
    terminal = prompted(chat(("Look.", "print('the', 'first')"), ("Done.", ""), EDITOR=str(editor)))
    terminal.send("go\n")
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.send("e\n")
    terminal.wait_for("the second")
    leave(prompted(terminal, 2))
    assert "python, edited" in terminal.text
    assert "the first" not in terminal.text


def test_an_editor_that_changes_nothing_or_fails_leads_back_to_the_question(chat: Open) -> None:
    terminal = prompted(chat(("Look.", "print('r' + 'an')"), ("Done.", ""), EDITOR="true"))
    terminal.send("go\n")
    terminal.wait_for("Run this code? (y/n/e)")
    terminal.send("e\n")
    terminal.wait_for("Nothing was changed.")
    terminal.send("n\n")
    leave(prompted(terminal, 2))
    assert not re.search(r"^ran", terminal.text, re.MULTILINE)


def test_ctrl_c_interrupts_the_code_and_the_session_survives(chat: Open) -> None:
    terminal = prompted(chat(("I wait.", FOREVER), ("Stopped it.", "print('x is', x)"), ("So.", ""), flags=("-y",)))
    terminal.send("go\n")
    terminal.wait_for(lambda: re.search(r"^up", terminal.text, re.MULTILINE) is not None)
    terminal.send("\x03")
    terminal.wait_for("KeyboardInterrupt")
    terminal.wait_for("x is 41")
    leave(prompted(terminal, 2))


def test_a_second_ctrl_c_stops_the_turn_and_the_session_survives(chat: Open) -> None:
    terminal = prompted(chat(("I wait.", STUBBORN), ("unreachable", ""), flags=("-y",)))
    terminal.send("go\n")
    terminal.wait_for(lambda: re.search(r"^up", terminal.text, re.MULTILINE) is not None)
    terminal.send("\x03")
    terminal.watch(0.3)
    terminal.send("\x03")
    terminal.wait_for("Stopped.", 30)
    prompted(terminal, 2)
    assert "unreachable" not in terminal.text
    terminal.send("%% echo still $((40 + 2))\n")
    terminal.wait_for("still 42")
    leave(prompted(terminal, 3))


def test_ctrl_c_at_the_prompt_clears_the_line(chat: Open) -> None:
    terminal = prompted(chat(("Hello.", "")))
    terminal.send("half a sent")
    terminal.wait_for("half a sent")
    terminal.send("\x03")
    prompted(terminal, 2)
    terminal.send("hi\n")
    terminal.wait_for("Hello.")
    leave(prompted(terminal, 3))


def test_an_error_is_told_with_its_next_step_and_the_chat_goes_on(chat: Open) -> None:
    terminal = prompted(chat(("Only once.", ""), columns=250))
    terminal.send("one\n")
    prompted(terminal, 2)
    terminal.send("two\n")
    terminal.wait_for("has no answer to prompt 2")
    terminal.wait_for("%reset")
    assert "Traceback" not in terminal.text
    leave(prompted(terminal, 3))


def test_an_engine_that_is_away_is_told_and_leaves_no_folder(chat: Open, tmp_path: Path) -> None:
    terminal = prompted(chat(("I try.", "print(1)"), ("Well.", ""), flags=("-y",), DOCKER_HOST="unix:///nonexistent.sock",
                             SBI_DATA_DIR=str(tmp_path / "data")))
    terminal.send("go\n")
    terminal.wait_for("nonexistent.sock", 30)
    leave(prompted(terminal, 2))
    assert "Traceback" not in terminal.text
    assert not list((tmp_path / "data").glob("sessions/*"))


def test_the_commands_answer(chat: Open) -> None:
    terminal = prompted(chat(("Hello.", "")))
    for number, (typed, answer) in enumerate([
            ("%help", "%sandbox"), ("%sandbx", "Did you mean %sandbox?"), ("%sandbox", "memory: 1 GiB"),
            ("%info", "messages: 0"), ("%undo", "nothing to undo"), ("%auto_run", "without asking from now on"),
            ("%% echo $((6 * 7))", "42"), ("%reset", "Forgotten")], 2):
        terminal.send(f"{typed}\n")
        terminal.wait_for(answer)
        prompted(terminal, number)
    leave(terminal)


def test_typing_while_code_runs_spoils_nothing(chat: Open) -> None:
    count = "import time\nfor n in range(15):\n    print('step', n, flush=True)\n    time.sleep(0.1)\n"
    terminal = prompted(chat(("I count.", count), ("Done.", ""), flags=("-y",)))
    terminal.send("go\n")
    terminal.wait_for("step 3")
    terminal.send("\n\nnoise\n\n")
    terminal.wait_for("Done.")
    assert re.findall(r"step (\d+)", terminal.text) == [str(n) for n in range(15)]
    assert terminal.text.count("I count.") == 1
    assert terminal.text.count("import time") == 1


def test_long_output_of_a_real_run_appears_once_on_a_small_screen(chat: Open) -> None:
    code = "import time\nfor n in range(200):\n    print('row', n, flush=True)\n    time.sleep(0.005)\n"
    terminal = prompted(chat(("Rows.", code), ("すべて終わりました。", ""), flags=("-y",), columns=40, rows=10))
    terminal.send("go\n")
    terminal.wait_for("すべて終わりました。")
    leave(prompted(terminal, 2))
    assert re.findall(r"row (\d+)", terminal.text) == [str(n) for n in range(200)]


def test_a_picture_is_kept_and_its_path_is_shown(chat: Open, tmp_path: Path) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()\n"
    terminal = prompted(chat(("A chart.", code), ("There.", ""), flags=("-y",), columns=240,
                             SBI_DATA_DIR=str(tmp_path / "data")))
    terminal.send("draw it\n")
    leave(prompted(terminal, 2))
    match = re.search(r"^Picture: (\S+)$", terminal.text, re.MULTILINE)
    assert match
    assert Path(match[1]).read_bytes().startswith(b"\x89PNG")
    assert Path(match[1]).is_relative_to(tmp_path / "data" / "sessions")
    assert "-draw-it" in match[1]


def test_lines_of_wide_characters_are_broken_between_words_at_the_windows_edge(sbi: Commands, tmp_path: Path) -> None:
    words = ["毎日の", "降水量の", "記録を", "集計して", "図にまとめる", "長い名前の", "台本"]
    script = tmp_path / f"{' '.join(words)}.yaml"
    script.write_text("turns: [{text: はい。}]", "utf-8")
    with Terminal([SBI, "-m", f"scripted:{script}"], columns=40, cwd=str(sbi.folder)) as terminal:
        prompted(terminal)
        assert all(any(word in row for row in terminal.rows) for word in words)
        leave(terminal)
