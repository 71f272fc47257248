"""--network ask, as a person meets it: the question in the midst of a run, its answers, and what they leave behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal

# A name that no resolver knows: allowed, it is a bad gateway; refused, it is forbidden. Nothing leaves this machine.
CODE = """
import urllib.request
print('begins', flush=True)
for host in {hosts}:
    try:
        urllib.request.urlopen('http://' + host)
    except OSError as error:
        print('answer', error)
print('ends')
"""
Open = Callable[..., Terminal]


@pytest.fixture
def chat(sbi: Commands, tmp_path: Path) -> Iterator[Open]:
    """Give a function that opens a chat whose model runs ``CODE`` for the given hosts, again and again."""
    with ExitStack() as stack:
        def open_chat(*hosts: str, flags: tuple[str, ...] = ()) -> Terminal:
            script = tmp_path / "script.yaml"
            script.write_text(yaml.safe_dump({"turns": [{"text": "I look.", "code": CODE.format(hosts=list(hosts))},
                                                        {"text": "Looked."}], "repeat": True}))
            command = [SBI, "chat", "-m", f"scripted:{script}", "-y", "--network", "ask", *flags]
            terminal = stack.enter_context(Terminal(command, columns=150, rows=40, cwd=str(sbi.folder),
                                                    env={"TMPDIR": str(sbi.temporary)}))
            sbi.pids.append(terminal.pid)
            terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">", 60)
            return terminal

        yield open_chat


def events() -> list[dict[str, object]]:
    """Return what the one session's log says of the network."""
    (log,) = Path(os.environ["SBI_DATA_DIR"]).glob("sessions/*/events.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line.get("event", line.get("type")) == "egress"]


def ask(terminal: Terminal, place: str, times: int = 1) -> None:
    """Wait for a question, the one of this number."""
    terminal.wait_for(lambda: terminal.text.count(f"wants to reach {place}") == times
                      and terminal.text.count("(n)o:") == terminal.text.count("wants to reach"), 60)


def test_a_yes_for_the_session_is_asked_for_once_and_a_no_is_forbidden(chat: Open) -> None:
    terminal = chat("one.invalid", "one.invalid", "two.invalid", "two.invalid")
    terminal.send("go\n")
    ask(terminal, "one.invalid:80")
    assert "always" not in terminal.text  # no folder is shared, so there is no project to keep it for
    terminal.send("s\n")
    ask(terminal, "two.invalid:80")
    terminal.send("n\n")
    terminal.wait_for("Looked.")
    assert terminal.text.count("HTTP Error 502") == 2
    assert terminal.text.count("HTTP Error 403") == 2
    assert terminal.text.count("wants to reach") == 2
    assert terminal.text.count("begins") == 2  # in the code, and in its output, which the question did not draw twice
    assert [(line["host"], line["allowed"]) for line in events()] == [
        ("one.invalid", True), ("one.invalid", True), ("two.invalid", False), ("two.invalid", False)]


def test_a_yes_for_once_holds_for_one_connection_and_the_next_is_asked_for_again(chat: Open) -> None:
    terminal = chat("one.invalid", "one.invalid", "one.invalid")
    terminal.send("go\n")
    for times, answer in enumerate("oon", 1):
        ask(terminal, "one.invalid:80", times)
        terminal.send(f"{answer}\n")
    terminal.wait_for("Looked.")
    assert terminal.text.count("HTTP Error 502") == 2
    assert terminal.text.count("HTTP Error 403") == 1
    assert [(line["host"], line["allowed"]) for line in events()] == [
        ("one.invalid", True), ("one.invalid", True), ("one.invalid", False)]


def test_always_is_kept_for_the_project_in_the_users_own_folder(chat: Open, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir(mode=0o777)
    project.chmod(0o777)
    terminal = chat("one.invalid", flags=("-w", str(project)))
    terminal.send("go\n")
    ask(terminal, "one.invalid:80")
    terminal.send("a\n")
    terminal.wait_for("Looked.")
    terminal.send("\x04")
    terminal.wait_for_end()
    assert json.loads((Path(os.environ["SBI_CONFIG_DIR"]) / "network.json").read_text()) == {
        str(project): ["one.invalid:80"]}
    assert [*project.iterdir()] == []
    again = chat("one.invalid", flags=("-w", str(project)))
    again.send("go\n")
    again.wait_for("Looked.")
    assert "wants to reach" not in again.text
    assert "HTTP Error 502" in again.text


def test_an_interrupt_ends_the_question_and_the_code(chat: Open) -> None:
    terminal = chat("one.invalid")
    terminal.send("go\n")
    ask(terminal, "one.invalid:80")
    terminal.send("\x03")
    terminal.wait_for("KeyboardInterrupt")
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">", 60)


def test_where_nobody_can_be_asked_the_answer_is_no(sbi: Commands) -> None:
    done = sbi("run", "--network", "ask", "-l", "shell", "-c", "curl -s http://one.invalid")
    assert "nobody was there to ask" in done.out.decode()
