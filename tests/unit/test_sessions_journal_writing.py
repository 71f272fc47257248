"""What is said, approved and run stands in the log as it does in the conversation, and no secret with it."""

from __future__ import annotations

import os
import time
from collections.abc import Generator

import pytest

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ModelUnavailable
from sandbox_interpreter.messages import CONSOLE, PROSE, Chunk, CodeBlock, Message, code_head, transcribed
from sandbox_interpreter.sandbox.outputs import ExecResult
from sandbox_interpreter.sessions import draft, store
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.journal import Journal
from sandbox_interpreter.sessions.watch import watch, witness
from tests.support.journals import DONE, PROMPT, begun, contents, entries, events, turn


@pytest.fixture
def settings() -> Settings:
    return Settings(model="demo")


@pytest.fixture
def journal(settings: Settings) -> Journal:
    return begun(settings, [])


# --- what is written, and when ---


def test_each_message_is_written_once_it_is_whole(journal: Journal) -> None:
    messages = [PROMPT]
    chunks = turn(journal, messages, (PROSE, "So."), (code_head("python"), "1"), (CONSOLE, ""))
    next(chunks)
    assert contents(journal.session) == ["Go."]
    for chunk in chunks:
        if chunk.get("end"):
            assert contents(journal.session) == [message["content"] for message in messages]
    assert events(journal.session) == ["opened", *["message"] * 4]
    assert restore(entries(journal.session)).messages == messages


def test_runs_approvals_notices_and_errors_are_written(journal: Journal) -> None:
    def ask(block: CodeBlock) -> Approval:
        return Approval(run=True, code=block.code + "\n")

    messages = [PROMPT]
    journal.notice("before there is a session, nobody needs it")
    list(turn(journal, messages, (PROSE, "So.")))
    approve = witness(journal, ask)
    assert approve
    assert approve(CodeBlock("python", "1")).code == "1\n"
    journal.run("python", "1\n", ExecResult(137, 3.5, "memory"))
    journal.notice("The image is built.")
    _, _, _, approval, run, notice = entries(journal.session)
    assert {**approval, "time": 0} == {"time": 0, "event": "approval", "language": "python", "run": True,
                                       "edited": True}
    assert {**run, "time": 0} == {"time": 0, "event": "run", "language": "python", "code": "1\n", "exit_code": 137,
                                  "duration_ms": 3.5, "limit": "memory", "interrupted": False}
    assert notice["text"] == "The image is built."


@pytest.mark.parametrize("ending", [KeyboardInterrupt, EOFError])
def test_a_question_that_is_broken_off_is_written_as_a_no(journal: Journal, ending: type[BaseException]) -> None:
    def leave(_: CodeBlock) -> Approval:
        raise ending

    approve = witness(journal, leave)
    assert approve
    with pytest.raises(ending):
        approve(CodeBlock("python", "1"))
    assert entries(journal.session)[-1]["run"] is False


def test_where_nobody_approves_nobody_is_watched(journal: Journal) -> None:
    assert witness(journal, None) is None


def test_an_error_is_written_and_what_came_before_it(journal: Journal) -> None:
    def broken() -> Generator[Chunk, None, None]:
        yield PROSE.chunk(start=True)
        yield PROSE.chunk(content="So")
        raise ModelUnavailable("The key hidden-value is wrong.")

    messages = [PROMPT]
    with pytest.raises(ModelUnavailable):
        list(watch(journal, transcribed(broken(), messages), messages))
    assert contents(journal.session) == ["Go.", "So"]
    error, = [entry for entry in entries(journal.session) if entry["event"] == "error"]
    assert (error["error"], error["text"]) == ("ModelUnavailable", "The key [secret TOKEN] is wrong.")


def test_an_abandoned_answer_is_written_as_far_as_it_came(journal: Journal) -> None:
    messages = [PROMPT]
    chunks = turn(journal, messages, (PROSE, "So it is."))
    for _ in range(3):
        next(chunks)
    chunks.close()
    assert contents(journal.session) == ["Go.", "So"]
    journal.close()
    assert len(store.every()) == 1


def test_the_users_word_and_what_the_audit_needs_are_on_the_disk_at_once(journal: Journal,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    _ = journal.session
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    journal.note("message", role="assistant", content="a")
    journal.note("notice", text="a")
    assert synced == []
    journal.sync([PROMPT, PROMPT, PROMPT])
    journal.run("python", "1", DONE)
    journal.note("approval", run=True)
    assert len(synced) == 3


# --- histories that anybody may change ---


def test_what_is_undone_changed_or_assigned_is_so_in_the_log(journal: Journal) -> None:
    messages: list[Message] = [{**PROMPT, "content": text} for text in "abcd"]
    journal.sync(messages)
    del messages[2:]
    journal.sync(messages)
    assert contents(journal.session) == ["a", "b"]
    messages[0]["content"] = "A"
    journal.sync(messages)
    assert contents(journal.session) == ["A", "b"]
    journal.sync([PROMPT])
    assert contents(journal.session) == ["Go."]
    before = len(entries(journal.session))
    journal.sync([PROMPT])
    assert len(entries(journal.session)) == before


def test_nothing_is_written_for_nothing(journal: Journal) -> None:
    journal.sync([])
    journal.begin_anew()
    journal.close()
    assert store.every() == []


# --- what takes long ---


def test_what_takes_long_is_written_in_pieces_and_secrets_in_them_are_not(journal: Journal,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft, "SECONDS", 0.01)
    messages = [PROMPT]
    text = "start " + "hidden-value " * 40 + "end"
    chunks = turn(journal, messages, (CONSOLE, text))
    for _ in zip(range(300), chunks, strict=False):
        time.sleep(0.001)
    time.sleep(0.1)
    found = restore(entries(journal.session))
    assert events(journal.session).count("partial") > 1
    assert "hidden" not in journal.session.events.read_text()
    assert found.logged == 1
    assert found.messages[1]["content"].startswith("start [secret TOKEN] [secret TOKEN]")
    list(chunks)
    assert contents(journal.session)[1] == text.replace("hidden-value", "[secret TOKEN]")


def test_what_is_soon_whole_is_written_once(journal: Journal) -> None:
    list(turn(journal, [PROMPT], (CONSOLE, "abc" * 1000)))
    assert "partial" not in events(journal.session)


# --- secrets ---


def test_secrets_are_in_no_record_and_no_name(settings: Settings, journal: Journal,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSED", "hidden-passed")
    settings.api_key, settings.secret = "hidden-key", ("PASSED",)
    journal.title = "Log in with hidden-value, hidden-passed and hidden-key"
    messages: list[Message] = [{**PROMPT, "content": journal.title}]
    list(turn(journal, messages, (CONSOLE, "hidden-value"), (CONSOLE, "hidden-passed")))
    settings.api_key = "changed-key"
    list(turn(journal, messages, (CONSOLE, "hidden-key changed-key")))
    journal.run("shell", "echo hidden-value", DONE)
    folder = journal.session.folder
    assert "hidden" not in folder.name.replace("log-in-with-secret", "")
    for path in folder.iterdir():
        text = path.read_text("utf-8")
        assert "hidden-" not in text
        assert "changed-key" not in text
    assert "[secret api_key]" in journal.session.events.read_text()
