"""Many processes at once in one data folder: names, locks, copies of the record and the clean-up really race."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.sessions import log, store
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.session import Session
from tests.support.sbi_process import Commands

MANY = 30
SAYS = {"text": "I run it.", "language": "shell", "code": "sleep ${PAUSE:-1}; echo $TAG"}


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Give the name of a model that runs one block, and then says that it is done, again and again."""
    (tmp_path / "script.yaml").write_text(yaml.safe_dump({"turns": [SAYS, {"text": "Done."}], "repeat": True}))
    return f"scripted:{tmp_path / 'script.yaml'}"


def words(session: Session) -> list[str]:
    """Return what user, model and code said, without what sbi itself told the model."""
    return [message["content"] for message in restore(log.read(session.events).entries).messages
            if (message["role"], message["type"]) != ("computer", "message")]


def test_thirty_chats_and_a_reaper_begun_at_once_each_have_a_session_of_their_own(sbi: Commands, model: str) -> None:
    chats = [sbi.start("chat", "-y", "-m", model, "--image", "base", "--memory", "64m", "--env", f"TAG={number}",
                       "the same title for all") for number in range(MANY)]
    reapers = [sbi.start("sessions", "prune") for _ in range(2)]
    with ThreadPoolExecutor(MANY + 2) as threads:
        ended = list(threads.map(lambda each: each.communicate(timeout=100), [*chats, *reapers]))
    said = [err.decode() for _, err in ended]
    assert [each.returncode for each in (*chats, *reapers)] == [0] * (MANY + 2), said
    assert [f"\n{number}\n" in out.decode() for number, (out, _) in enumerate(ended[:MANY])] == [True] * MANY
    sessions = store.every()
    assert len({session.name for session in sessions}) == MANY
    assert sorted(map(words, sessions)) == sorted(
        ["the same title for all", SAYS["text"], SAYS["code"], f"{number}\n", "Done."] for number in range(MANY))
    assert [log.is_open(session.events) for session in sessions] == [False] * MANY
    assert sbi.left_behind() == []


def test_of_clients_that_take_up_one_session_at_once_one_gets_it_and_the_others_are_told(sbi: Commands,
                                                                                       model: str) -> None:
    options = ("-y", "-m", model, "--image", "base", "--env", "TAG=x", "--env", "PAUSE=5")
    assert sbi("chat", *options, "begin").code == 0
    only, = store.every()
    clients = [sbi.start("sessions", "resume", only.name, *options, f"client {number}") for number in range(4)]
    ended = [each.communicate(timeout=100) for each in clients]
    codes = [each.returncode for each in clients]
    got = [number for number, code in enumerate(codes) if code == 0]
    assert 1 <= len(got) < 4, [err.decode() for _, err in ended]
    assert {codes[number] for number in range(4) if number not in got} <= {2}
    assert all(b"is open already" in err for (_, err), code in zip(ended, codes, strict=True) if code)
    assert log.read(only.events).problems == []
    # One after the other, each turn whole: none got in between another's words.
    turn = [SAYS["text"], SAYS["code"], "x\n", "Done."]
    talk = words(only)
    asked = [talk[at] for at in range(0, len(talk), 5)]
    assert talk == [word for prompt in asked for word in (prompt, *turn)]
    assert sorted(asked) == sorted(["begin", *(f"client {number}" for number in got)])
