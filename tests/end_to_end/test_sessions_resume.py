"""Sessions of real programs in real containers: killed, resumed, chosen, stopped, removed, cleaned up after."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sessions import log, store
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.session import Session
from tests.support.sbi_process import SBI, Commands
from tests.support.terminal import Terminal

SET = "x = 41\n_ = open('kept.txt', 'w').write('here')"
SHOW = "import os\nprint(globals().get('x', 'gone'), os.listdir())"
COUNT = "import time\nfor n in range(60):\n    print('step', n, flush=True)\n    time.sleep(0.1)"
Open = Callable[..., Terminal]


def model(tmp_path: Path, *turns: tuple[str, str]) -> str:
    """Return the name of a model that answers with ``turns``, each text and code, and then says that it is done."""
    path = tmp_path / f"script{len(list(tmp_path.iterdir()))}.yaml"
    wanted = [{"text": text} | ({"code": code} if code else {}) for text, code in turns]
    path.write_text(yaml.safe_dump({"turns": [*wanted, {"text": "Done."}], "repeat": True}))
    return f"scripted:{path}"


@pytest.fixture
def window(sbi: Commands) -> Iterator[Open]:
    """Give a function that runs ``sbi WORDS`` in a pseudo-terminal."""
    with ExitStack() as stack:
        def open_window(*words: str) -> Terminal:
            terminal = stack.enter_context(Terminal([SBI, *words], columns=120, rows=40, cwd=str(sbi.folder),
                                                    env={"TMPDIR": str(sbi.temporary)}))
            sbi.pids.append(terminal.pid)
            return terminal

        yield open_window


def session() -> Session:
    only, = store.every()
    return only


def events(of: Session) -> list[dict[str, Any]]:
    return log.read(of.events).entries


def killed(terminal: Terminal) -> None:
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.wait_for_end()


def begun(window: Open, tmp_path: Path, code: str = SET, seen: str = "Done.") -> Terminal:
    """Return a chat in which ``code`` was run, as far as ``seen`` tells."""
    terminal = window("chat", "-y", "-m", model(tmp_path, ("I set it.", code)))
    terminal.wait_for("Ctrl-D leaves")
    terminal.send("set x\n")
    terminal.wait_for(seen, 60)
    return terminal


# --- resume ---


def test_resume_finds_the_same_container_if_it_lives(sbi: Commands, window: Open, tmp_path: Path) -> None:
    killed(begun(window, tmp_path))
    assert len(sbi.containers()) == 1
    assert json.loads(sbi("sessions", "list", "--json").out)[0]["state"] == "running"
    ended = sbi("sessions", "resume", "last", "show", "it", "-y", "-m", model(tmp_path, ("I look.", SHOW)))
    assert ended.code == 0, ended.said
    assert "41 ['kept.txt']" in ended.out.decode()
    assert [entry["state"] for entry in events(session()) if entry["event"] == "sandbox"] == ["reattached"]
    assert sbi.containers() == []


def test_resume_starts_a_new_one_on_the_same_files_and_tells_the_model(sbi: Commands, window: Open,
                                                                       tmp_path: Path) -> None:
    killed(begun(window, tmp_path))
    assert b"its sandbox was ended" in sbi("sessions", "stop", "last").out
    assert sbi.containers() == []
    ended = sbi("sessions", "resume", "last", "show it", "-y", "-m", model(tmp_path, ("I look.", SHOW)))
    assert ended.code == 0, ended.said
    assert "gone ['kept.txt']" in ended.out.decode()
    messages = restore(events(session())).messages
    told, = [message for message in messages if message["role"] == "computer" and message["type"] == "message"]
    assert "variables, processes and the working directory are gone" in told["content"]
    assert "files in /workspace are as they were" in told["content"]
    assert [message["content"] for message in messages if message["role"] == "user"] == ["set x", "show it"]


def test_a_sandbox_that_lives_is_not_taken_up_with_other_limits(sbi: Commands, window: Open, tmp_path: Path) -> None:
    killed(begun(window, tmp_path))
    same = sbi("sessions", "resume", "last", "hi", "--memory", "1g", "-y", "-m", model(tmp_path, ("I look.", SHOW)))
    assert "41 ['kept.txt']" in same.out.decode(), same.said
    killed(begun(window, tmp_path))
    words = ("sessions", "resume", "last", "hi", "--memory", "512m", "-y", "-m", model(tmp_path, ("I look.", SHOW)))
    assert "gone ['kept.txt']" in sbi(*words).out.decode()
    assert sbi.containers() == []
    assert [entry["policy"]["memory"] for entry in events(store.every()[0]) if entry["event"] == "policy"] == [2**29]


def test_resume_in_a_terminal_replays_the_conversation_and_goes_on(window: Open, tmp_path: Path) -> None:
    killed(begun(window, tmp_path))
    terminal = window("sessions", "resume", "-y", "-m", model(tmp_path, ("I look.", SHOW)))
    terminal.wait_for("Ctrl-D leaves")
    for shown in ("> set x", "I set it.", "x = 41", "Done."):
        assert shown in terminal.text
    terminal.send("show it\n")
    terminal.wait_for("41 ['kept.txt']", 60)
    terminal.wait_for(lambda: terminal.text.count("Done.") == 2)
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0


def test_code_that_ran_on_while_its_program_was_dead_is_followed_to_its_end(window: Open, tmp_path: Path) -> None:
    killed(begun(window, tmp_path, COUNT, "step 10"))
    time.sleep(1)
    terminal = window("sessions", "resume", "-m", model(tmp_path))
    terminal.wait_for("step 59", 60)
    terminal.wait_for("Ctrl-D leaves")
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    run, = [entry for entry in events(session()) if entry["event"] == "run"]
    assert (run["code"], run["exit_code"]) == (COUNT, 0)
    said = "".join(message["content"] for message in restore(events(session())).messages
                   if message["type"] == "console")
    steps = [f"step {number}" for number in range(60)]
    assert said.splitlines() == steps
    assert [row for row in terminal.rows if row.startswith("step ")] == steps


@pytest.mark.parametrize("code", ["print('hel' + 'lo')", "pass"])
def test_output_that_was_seen_whole_is_not_said_again(window: Open, tmp_path: Path, code: str) -> None:
    killed(begun(window, tmp_path, code))
    before = restore(events(session())).messages
    terminal = window("sessions", "resume", "-m", model(tmp_path))
    terminal.wait_for("Ctrl-D leaves")
    terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">")
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    assert terminal.rows.count("hello") == code.count("print")
    assert restore(events(session())).messages == before


def test_what_was_said_until_a_kill_is_kept(sbi: Commands, window: Open, tmp_path: Path) -> None:
    terminal = begun(window, tmp_path, COUNT, "step 25")
    killed(terminal)
    shown = sbi("sessions", "show").out.decode()
    assert "> set x" in shown
    assert "for n in range(60):" in shown
    assert "step 0\nstep 1\n" in shown
    assert sbi("sessions", "stop", "last").code == 0


def test_a_session_that_is_open_is_not_opened_again(sbi: Commands, window: Open, tmp_path: Path) -> None:
    terminal = begun(window, tmp_path)
    for words in (("resume", "last", "hi"), ("remove", "last")):
        ended = sbi("sessions", *words)
        assert ended.code == 2
        assert "is open" in ended.said
    assert json.loads(sbi("sessions", "list", "--json").out)[0]["state"] == "open"
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    assert b"removed" in sbi("sessions", "remove", "last").out
    assert store.every() == []


# --- --conversations ---


def test_conversations_picks_an_earlier_one_replays_it_and_goes_on_in_the_same_file(
        sbi: Commands, window: Open, tmp_path: Path) -> None:
    for prompt in ("rain", "snow"):
        assert sbi("chat", "-y", "-m", model(tmp_path, (f"About {prompt}.", SET)), prompt).code == 0
    terminal = window("--conversations", "-y", "-m", model(tmp_path, ("I look.", SHOW)))
    terminal.wait_for("Which one?")
    newest, oldest = (row for row in terminal.rows if row.startswith(("1 ", "2 ")))
    assert "snow" in newest
    assert "rain" in oldest
    terminal.send("2\n")
    terminal.wait_for("Ctrl-D leaves")
    assert "About rain." in terminal.text
    assert "About snow." not in terminal.text
    terminal.send("go on\n")
    terminal.wait_for("gone ['kept.txt']", 60)
    terminal.wait_for(lambda: terminal.text.count("Done.") == 2)
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    newest_now, other = store.every()
    assert newest_now.name.endswith("rain")
    assert [entry["content"] for entry in events(newest_now) if entry.get("role") == "user"] == ["rain", "go on"]
    assert [entry["content"] for entry in events(other) if entry.get("role") == "user"] == ["snow"]


def test_conversations_without_a_terminal_is_a_numbered_list(sbi: Commands, tmp_path: Path) -> None:
    assert sbi("chat", "-y", "-m", model(tmp_path, ("About rain.", "")), "rain").code == 0
    listed = sbi("--conversations")
    assert listed.code == 0
    assert listed.out.decode().splitlines()[1].startswith("1  ")
    chosen = sbi("--conversations", "-m", model(tmp_path), stdin=b"1\nand now?\n")
    assert chosen.code == 0, chosen.said
    assert chosen.out.decode().endswith("> rain\n\nAbout rain.\n\nDone.\n")
    assert [entry["content"] for entry in events(session()) if entry.get("role") == "user"] == ["rain", "and now?"]


# --- one history after another ---


def test_reset_starts_a_new_history_and_keeps_files_and_settings(window: Open, tmp_path: Path) -> None:
    terminal = window("chat", "-y", "-m", model(tmp_path, ("I set it.", SET)))
    for prompt, answer in (("first task", "Done."), ("%reset", "Forgotten"), ("second task", "I set it.")):
        terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">", 60)
        terminal.send(f"{prompt}\n")
        terminal.wait_for(answer, 60)
    terminal.wait_for(lambda: terminal.text.count("Done.") == 2, 60)
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    second, first = store.every()
    assert first.name.endswith("first-task")
    assert second.name.endswith("second-task")
    for each, prompt in ((first, "first task"), (second, "second task")):
        assert [message["content"] for message in restore(events(each)).messages] == [
            prompt, "I set it.", SET, "", "Done."]
    assert (first.own_workspace / "kept.txt").exists()
    assert second.record().workspace == str(first.own_workspace)


def test_messages_that_are_kept_over_a_reset_go_on_in_a_new_history(tmp_path: Path) -> None:
    with Interpreter(model=model(tmp_path, ("I set it.", SET)), auto_run=True) as interpreter:
        kept = interpreter.chat("set x", display=False)
        interpreter.reset()
        interpreter.messages = kept
        interpreter.model = model(tmp_path, ("I look.", SHOW))
        after = interpreter.chat("show it", display=False)
    assert after[:len(kept)] == kept
    second, first = store.every()
    assert restore(events(first)).messages == kept
    assert restore(events(second)).messages == after


def test_a_session_is_resumed_in_python(tmp_path: Path) -> None:
    with Interpreter(model=model(tmp_path, ("I set it.", SET)), auto_run=True, memory="256m") as interpreter:
        kept = interpreter.chat("set x", display=False)
    with Interpreter(model=model(tmp_path, ("I look.", SHOW)), auto_run=True) as interpreter:
        messages = interpreter.resume()
        assert messages[:-1] == kept
        assert interpreter.settings.memory == 256 * 2**20
        assert list(interpreter.catch_up()) == []
        assert interpreter.chat("show it", display=False)[-2]["content"] == "gone ['kept.txt']\n"
    assert len(store.every()) == 1


# --- clean-up ---


def left_by_a_killed_run(sbi: Commands) -> None:
    process = sbi.start("run", "-c", "print('up', flush=True)\nimport time\ntime.sleep(300)")
    assert process.stdout
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.communicate()
    assert len(sbi.containers()) == 1
    assert len(list(sbi.temporary.iterdir())) == 1


def test_prune_removes_what_a_killed_program_left(sbi: Commands) -> None:
    left_by_a_killed_run(sbi)
    ended = sbi("sessions", "prune")
    assert ended.code == 0
    assert b"container sbi-" in ended.out
    assert f"folder {sbi.temporary}/sbi-" in ended.out.decode()
    assert sbi.left_behind() == []


def test_prune_spares_what_lives(sbi: Commands, window: Open, tmp_path: Path) -> None:
    running = sbi.start("run", "-c", "print('up', flush=True)\nprint(input())")
    assert running.stdout
    assert running.stdout.readline() == b"up\n"
    chat = begun(window, tmp_path)
    before = set(sbi.containers())
    assert sbi("sessions", "prune").code == 0
    assert set(sbi.containers()) == before
    assert len(before) == 2
    assert running.communicate(b"still here\n", timeout=60)[0] == b"still here\n"
    chat.send("\x04")
    assert chat.wait_for_end() == 0


def test_the_start_of_a_chat_tidies_up_in_the_background(sbi: Commands, window: Open, tmp_path: Path) -> None:
    left_by_a_killed_run(sbi)
    terminal = window("chat", "-m", model(tmp_path))
    deadline = time.monotonic() + 30
    while sbi.containers() or any(sbi.temporary.iterdir()):
        assert time.monotonic() < deadline
        terminal.watch(0.1)
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0


def test_the_start_of_a_chat_spares_what_can_be_resumed(sbi: Commands, window: Open, tmp_path: Path) -> None:
    killed(begun(window, tmp_path))
    terminal = window("chat", "-m", model(tmp_path))
    terminal.watch(3)
    assert len(sbi.containers()) == 1
    terminal.send("\x04")
    assert terminal.wait_for_end() == 0
    assert sbi("sessions", "prune").code == 0
    assert sbi.containers() == []
