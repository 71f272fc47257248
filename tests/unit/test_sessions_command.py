from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sandbox_interpreter.cli import sessions as command
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.messages import Message
from sandbox_interpreter.sessions import store
from sandbox_interpreter.sessions.log import EventLog
from sandbox_interpreter.sessions.session import Record, Session
from sandbox_interpreter.terminal import picker
from sandbox_interpreter.terminal.render import Renderer
from sandbox_interpreter.terminal.replay import replay
from sandbox_interpreter.terminal.sessions import line_of, table

PICTURE = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
TALK: list[Message] = [
    {"role": "user", "type": "message", "content": "Plot it,\nplease. \x1b]52;c;x\x07"},
    {"role": "assistant", "type": "message", "content": "**Now.**"},
    {"role": "assistant", "type": "code", "format": "python", "content": "print(1)"},
    {"role": "computer", "type": "console", "format": "output", "content": "1\n"},
    {"role": "computer", "type": "image", "format": "base64.png", "content": PICTURE},
    {"role": "assistant", "type": "message", "content": "Done."},
    {"role": "user", "type": "message", "content": "Thanks."},
]


def session(title: str, when: float, *talk: Message, **facts: Any) -> Session:
    made = store.create(Record(title=title, image="python", **facts))
    log = EventLog(made.events)
    for message in talk:
        log.append("message", message)
    log.close()
    os.utime(made.events, (when, when))
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(command.app, list(words), env={"DOCKER_HOST": "tcp://127.0.0.1:9"})


# --- list ---


def test_the_list_has_the_newest_first_and_what_becomes_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = session("雨の量", 100, container="x"), session("snow", 200)
    opened = EventLog(new.events)
    os.utime(new.events, (200, 200))
    result = run("list")
    opened.close()
    assert result.exit_code == 0
    head, first, second = result.stdout.splitlines()
    assert head.split() == ["NAME", "STATE", "CHANGED", "IMAGE", "TITLE"]
    assert first.split()[:2] == [new.name, "open"]
    assert second.split()[:2] == [old.name, "unknown"]  # the engine does not answer
    assert second.endswith("雨の量")


def test_columns_stand_below_each_other_also_with_wide_characters() -> None:
    from rich.cells import cell_len

    both = [session("雨の量", 100), session("snow", 200)]
    rows = table(both, {each.name: "ended" for each in both}).splitlines()
    assert len({cell_len(row.partition("python")[0]) for row in rows[1:]}) == 1


def test_the_list_as_json_has_the_records() -> None:
    made = session("雨", 100, model="demo")
    entry, = json.loads(run("list", "--json").stdout)
    assert (entry["name"], entry["state"], entry["changed"], entry["model"]) == (made.name, "ended", 100, "demo")


def test_where_there_are_none_the_list_is_empty() -> None:
    assert (run("list").exit_code, run("list").stdout) == (0, "")
    assert json.loads(run("list", "--json").stdout) == []


# --- show ---


def test_show_tells_the_conversation_as_it_was() -> None:
    made = session("plot", 100, *TALK)
    assert run("show", "plot").stdout == (
        "> Plot it,\n  please. ␛]52;c;x␇\n\n**Now.**\n\n```python\nprint(1)\n```\n1\n"
        f"Picture: {made.folder}/pictures/picture-1.png\n\nDone.\n\n> Thanks.\n\n")
    run("show", "plot")
    assert len(list((made.folder / "pictures").iterdir())) == 1


def test_show_reports_what_is_torn_and_shows_the_rest() -> None:
    made = session("plot", 100, *TALK[:2])
    with made.events.open("a") as file:
        file.write("nonsense\n{\"event\": \"mess")
    result = run("show", "plot")
    assert result.stdout.endswith("**Now.**\n\n")
    assert "line 3 is no event" in result.stderr
    assert "line 4, the last, is torn" in result.stderr


def test_a_replay_in_a_terminal_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    shown = io.StringIO()
    replay(TALK[:4], Renderer(Settings(), Console(file=shown, force_terminal=True, width=60, color_system="truecolor")))
    assert "print" in shown.getvalue()
    assert "\x1b[1;36m> \x1b[0mPlot it," in capsys.readouterr().out


@pytest.mark.parametrize("words", [("show",), ("show", "x"), ("logs", "x"), ("stop", "x"), ("remove", "x")])
def test_a_session_that_is_not_there_is_an_error(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(command.app, list(words))
    assert isinstance(result.exception, UsageError)
    assert "no session" in str(result.exception)


# --- logs ---


def test_logs_print_an_event_a_line() -> None:
    made = session("plot", 100, *TALK)
    log = EventLog(made.events)
    log.append("run", {"language": "python", "code": "print(1)\n" * 100, "exit_code": 137, "limit": "memory",
                       "duration_ms": 3.5})
    log.append("approval", {"language": "python", "run": False})
    log.append("opened", {"policy": {"network": "none"}})
    log.close()
    lines = run("logs", "plot").stdout.splitlines()
    assert len(lines) == len(TALK) + 3
    assert lines[0].endswith("message  role=user type=message Plot it, please. ␛]52;c;x␇")
    assert "type=image format=base64.png (72 bytes)" in lines[4]
    assert "run      language=python exit_code=137 limit=memory duration_ms=3.5 print(1) print(1)" in lines[-3]
    assert lines[-3].endswith("…")
    assert lines[-2].endswith("approval language=python run=False")
    assert lines[-1].endswith("opened   policy=network:none")


def test_logs_as_json_are_the_events() -> None:
    session("plot", 100, *TALK)
    entries = [json.loads(line) for line in run("logs", "plot", "--json").stdout.splitlines()]
    assert [entry["content"] for entry in entries] == [message["content"] for message in TALK]


@pytest.mark.parametrize("entry", [
    {"event": "x"}, {"event": "message", "content": 3, "time": 5}, {"event": "run", "code": None},
    {"event": "notice", "time": "yesterday"}, {"event": "\x1b[2J", "\x1b": "\x1b"}])
def test_a_strange_event_is_printed_all_the_same(entry: dict[str, Any]) -> None:
    assert "\x1b" not in line_of(entry)
    assert "\n" not in line_of(entry)


# --- remove ---


def test_remove_takes_several_and_keeps_what_is_open() -> None:
    one, two, three = (session(name, 1) for name in ("one", "two", "three"))
    assert run("remove", "one", "two").exit_code == 0
    assert store.every() == [three]
    opened = EventLog(three.events)
    assert isinstance(run("remove", "three").exception, UsageError)
    opened.close()
    assert not one.folder.exists()
    assert not two.folder.exists()
    assert three.folder.exists()


# --- the picker ---


class Stdin(io.TextIOWrapper):
    def __init__(self, text: str, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(text.encode()))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def picked(monkeypatch: pytest.MonkeyPatch, text: str, *, terminal: bool) -> Session | None:
    monkeypatch.setattr(sys, "stdin", Stdin(text, terminal=terminal))
    return picker.pick(store.every())


@pytest.mark.parametrize("terminal", [True, False])
def test_conversations_are_numbered_from_the_newest(monkeypatch: pytest.MonkeyPatch, terminal: bool,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    old, new = session("rain", 100), session("snow", 200)
    assert picked(monkeypatch, "2\n", terminal=terminal) == old
    _, first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith(f"1  {new.name}")
    assert second.startswith(f"2  {old.name}")
    assert picked(monkeypatch, "1\n", terminal=terminal) == new


def test_enter_takes_the_newest_and_nonsense_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    session("rain", 100)
    new = session("snow", 200)
    assert picked(monkeypatch, "\n", terminal=True) == new
    assert picked(monkeypatch, "7\nrain\n-1\n0\n1\n", terminal=True) == new


@pytest.mark.parametrize("terminal", [True, False])
def test_the_end_of_input_chooses_none(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    session("rain", 100)
    assert picked(monkeypatch, "", terminal=terminal) is None


def test_a_piped_number_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    session("rain", 100)
    with pytest.raises(UsageError, match="'2' is no number"):
        picked(monkeypatch, "2\n", terminal=False)


def test_what_follows_a_piped_number_is_left_for_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    session("rain", 100)
    assert picked(monkeypatch, "1\nand now?\n", terminal=False)
    assert sys.stdin.buffer.read() == b"and now?\n"


def test_without_conversations_that_is_said(monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    assert picked(monkeypatch, "1\n", terminal=True) is None
    assert "no conversations" in capsys.readouterr().out


def test_a_long_list_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
                                        tmp_path: Path) -> None:
    monkeypatch.setattr(picker, "_MOST", 2)
    for name in ("a", "b", "c"):
        session(name, 100)
    assert picked(monkeypatch, "", terminal=False) is None
    assert "… and 1 more" in capsys.readouterr().out
