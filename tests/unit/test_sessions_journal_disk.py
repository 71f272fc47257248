"""A disk that is full, missing or struck by a Ctrl-C costs no conversation, and no message once it is well again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.messages import PROSE
from sandbox_interpreter.sessions import log
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.journal import Journal
from tests.support.journals import DONE, PROMPT, begun, turn


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def journal(told: list[str]) -> Journal:
    return begun(Settings(model="demo"), told)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Give a switch that fills the disk, or makes room again."""
    write = os.write
    full = False

    def switched(file: int, data: bytes) -> int:
        if full:
            raise OSError(28, "No space left on device")
        return write(file, data)

    def switch(on: bool) -> None:
        nonlocal full
        full = on

    monkeypatch.setattr(os, "write", switched)
    return switch


def test_a_full_disk_is_told_once_the_conversation_goes_on_and_nothing_is_lost_when_there_is_room(
        journal: Journal, told: list[str], failing: Callable[[bool], None]) -> None:
    messages = [PROMPT]
    list(turn(journal, messages, (PROSE, "one")))
    failing(True)
    for text in ("two", "three"):
        messages.append({**PROMPT, "content": text})
        assert [chunk.get("content") for chunk in turn(journal, messages, (PROSE, "answer"))][1] == "a"
        journal.run("python", "1", DONE)
    assert len(told) == 1
    assert "cannot be recorded, but goes on: No space left on device." in told[0]
    failing(False)
    list(turn(journal, messages, (PROSE, "four")))
    assert restore(log.read(journal.session.events).entries).messages == messages
    assert len(told) == 1


def test_a_data_folder_that_cannot_be_made_is_told_once(journal: Journal, told: list[str], tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SBI_DATA_DIR", str(tmp_path / "file"))
    assert len(list(turn(journal, [PROMPT], (PROSE, "ab")))) == 4
    journal.describe(model="x")
    journal.close()
    assert len(told) == 1


@pytest.mark.parametrize("whole", [True, False])
def test_a_ctrl_c_in_the_midst_of_a_write_neither_loses_nor_doubles_anything(
        journal: Journal, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    messages = [PROMPT]
    journal.sync(messages)
    write = os.write

    def pressed(file: int, data: bytes) -> int:
        write(file, data if whole else data[:20])
        raise KeyboardInterrupt

    messages.append({**PROMPT, "content": "And?"})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", pressed)
        with pytest.raises(KeyboardInterrupt):
            journal.add(messages)
    messages.append({**PROMPT, "content": "So?"})
    journal.add(messages)
    assert [message["content"] for message in restore(log.read(journal.session.events).entries).messages] == [
        "Go.", "And?", "So?"]
