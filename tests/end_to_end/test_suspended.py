"""Ctrl-Z and fg under a shell with job control: nothing is lost, and each finds the terminal as it left it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal

STEPS = [f"step {number}" for number in range(60)]
COUNT = "import time\nfor n in range(60):\n    print('step', n, flush=True)\n    time.sleep(0.1)"
CTRL_Z = "\x1a"
USUAL = "echo icanon icrnl isig opost END"
ASK = "stty -a | grep -oE -- '-?(echo|icanon|isig|icrnl|opost)\\b' | sort | tr '\\n' ' '; echo END\n"


@pytest.fixture
def shell(sbi: Commands) -> Iterator[Terminal]:
    """Give bash as a person has it, with jobs, in a terminal."""
    env = {"PS1": "$ ", "TMPDIR": str(sbi.temporary), "PATH": f"{Path(SBI).parent}:/usr/bin:/bin"}
    with Terminal(["bash", "--norc", "--noprofile", "-i"], columns=100, rows=40, cwd=str(sbi.folder),
                  env=env) as terminal:
        terminal.wait_for(lambda: at_shell(terminal))
        yield terminal
        terminal.wait_for(lambda: at_shell(terminal))
        terminal.send("exit\n")
        terminal.wait_for_end()


@pytest.fixture
def chat(tmp_path: Path) -> list[str]:
    """Give the words that begin a chat whose model counts."""
    script = tmp_path / "script.yaml"
    script.write_text(yaml.safe_dump({"turns": [{"text": "I count.", "code": COUNT}, {"text": "Done."}]}))
    return ["chat", "-y", "-m", f"scripted:{script}"]


def suspend(shell: Terminal) -> None:
    """Press Ctrl-Z; return once the shell has said so, and that it finds its terminal as it should be."""
    before = shell.text.count("Stopped")
    shell.send(CTRL_Z)
    shell.wait_for(lambda: shell.text.count("Stopped") > before and at_shell(shell))
    assert not shell.cursor_hidden
    shell.send(ASK)
    shell.wait_for(lambda: shell.text.count(USUAL) > before and at_shell(shell))


def at_shell(shell: Terminal) -> bool:
    return shell.screen[shell.cursor_row] == "$"


def steps(shell: Terminal) -> list[str]:
    return [row for row in shell.rows if row.startswith("step ")]


def prompted(terminal: Terminal) -> None:
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">")


def test_a_run_goes_on_where_it_was(shell: Terminal, sbi: Commands) -> None:
    (sbi.folder / "count.py").write_text(COUNT)
    shell.send("sbi run count.py\n")
    shell.wait_for("step 5")
    suspend(shell)
    shell.send("fg\n")
    shell.wait_for("step 59")
    shell.wait_for(lambda: at_shell(shell))
    assert steps(shell) == STEPS


def test_a_chat_goes_on_in_the_midst_of_its_output(shell: Terminal, chat: list[str]) -> None:
    shell.send(f"sbi {' '.join(chat)}\n")
    shell.wait_for("Ctrl-D leaves")
    prompted(shell)
    shell.send("count\n")
    for seen in ("step 3", "step 30"):  # the second time where what was live has been drawn anew once
        shell.wait_for(seen)
        assert not shell.is_cooked
        suspend(shell)
        shell.send("fg\n")
        shell.wait_for(lambda: not shell.is_cooked and shell.cursor_hidden)
    shell.send("typed ahead")
    shell.wait_for("Done.")
    shell.wait_for("> typed ahead")
    assert steps(shell) == STEPS
    assert shell.text.count("typed ahead") == 1  # it was not echoed into what was drawn
    shell.send("\x15\x04")
    shell.wait_for(lambda: at_shell(shell))


def test_a_chat_at_its_prompt_keeps_what_was_typed(shell: Terminal, chat: list[str]) -> None:
    shell.send(f"sbi {' '.join(chat)}\n")
    shell.wait_for("Ctrl-D leaves")
    prompted(shell)
    shell.send("count")
    shell.wait_for("> count")
    suspend(shell)
    shell.send("fg\n")
    shell.wait_for(lambda: shell.screen[shell.cursor_row] == "> count")
    shell.send(" now\n")
    shell.wait_for("Done.")
    assert "> count now" in shell.rows
    assert steps(shell) == STEPS
    prompted(shell)
    shell.send("\x04")
    shell.wait_for(lambda: at_shell(shell))


def test_where_no_shell_could_go_on_with_it_a_chat_does_not_stop(sbi: Commands, chat: list[str]) -> None:
    with Terminal([SBI, *chat], columns=100, rows=40, cwd=str(sbi.folder),
                  env={"TMPDIR": str(sbi.temporary)}) as terminal:
        prompted(terminal)
        terminal.send("count\n")
        terminal.wait_for("step 5")
        terminal.send(CTRL_Z)
        terminal.wait_for("Done.")
        assert steps(terminal) == STEPS
        prompted(terminal)
        terminal.send("\x04")
        assert terminal.wait_for_end() == 0
