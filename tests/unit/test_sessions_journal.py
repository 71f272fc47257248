from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ModelUnavailable, UsageError
from sandbox_interpreter.messages import CONSOLE, PROSE, Chunk, CodeBlock, Message, code_head, transcribed
from sandbox_interpreter.sandbox.outputs import ExecResult
from sandbox_interpreter.sessions import draft, log, store
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.journal import Journal
from sandbox_interpreter.sessions.session import Session
from sandbox_interpreter.sessions.watch import watch, witness

PROMPT: Message = {"role": "user", "type": "message", "content": "Go."}
DONE = ExecResult(0, 12.5)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def settings() -> Settings:
    return Settings(model="demo")


@pytest.fixture
def journal(settings: Settings, told: list[str]) -> Journal:
    journal = Journal(settings, notify=told.append, secrets={"TOKEN": "hidden-value"})
    journal.title = "Go."
    return journal


def entries(session: Session) -> list[dict[str, Any]]:
    found = log.read(session.events)
    assert found.problems == []
    return found.entries


def events(session: Session) -> list[str]:
    return [entry["event"] for entry in entries(session)]


def contents(session: Session) -> list[str]:
    return [message["content"] for message in restore(entries(session)).messages]


def answer(*blocks: tuple[Any, str]) -> Generator[Chunk, None, None]:
    for head, text in blocks:
        yield head.chunk(start=True)
        for letter in text:
            yield head.chunk(content=letter)
        yield head.chunk(end=True)


def turn(journal: Journal, messages: list[Message], *blocks: tuple[Any, str]) -> Generator[Chunk, None, None]:
    return watch(journal, transcribed(answer(*blocks), messages), messages)


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


# --- the disk ---


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


# --- one session after another ---


def test_reset_begins_a_new_history_and_keeps_the_old(journal: Journal) -> None:
    list(turn(journal, [PROMPT], (PROSE, "one")))
    journal.describe(container="c0ffee")
    first = journal.session
    journal.begin_anew()
    journal.title = "Again."
    list(turn(journal, [{**PROMPT, "content": "Again."}], (PROSE, "two")))
    second = journal.session
    assert contents(first) == ["Go.", "one"]
    assert contents(second) == ["Again.", "two"]
    assert second.name.endswith("-again")
    assert second.record().workspace == str(first.own_workspace)
    assert second.record().container == "c0ffee"
    assert first.record().container == ""
    assert entries(first)[-1]["state"] == "reset"
    assert not log.is_open(first.events)
    assert log.is_open(second.events)


def test_a_session_in_which_nothing_came_to_anything_leaves_no_folder(journal: Journal) -> None:
    def broken() -> Generator[Chunk, None, None]:
        raise ModelUnavailable("No.")
        yield

    with pytest.raises(ModelUnavailable):
        list(watch(journal, broken(), [PROMPT]))
    assert journal.session.folder.exists()
    journal.close()
    assert store.every() == []
    assert journal.session.folder.exists()  # it can be used again


def test_a_session_goes_on_after_it_was_closed(journal: Journal) -> None:
    messages = [PROMPT]
    list(turn(journal, messages, (PROSE, "one")))
    session = journal.session
    journal.close()
    journal.close()
    assert not log.is_open(session.events)
    messages.append({**PROMPT, "content": "And?"})
    list(turn(journal, messages, (PROSE, "two")))
    assert journal.session == session
    assert contents(session) == ["Go.", "one", "And?", "two"]


def test_an_earlier_session_is_taken_up_and_written_on(journal: Journal, settings: Settings, told: list[str]) -> None:
    messages = [PROMPT]
    list(turn(journal, messages, (PROSE, "one")))
    session = journal.session
    other = Journal(settings, notify=told.append)
    with pytest.raises(UsageError, match="open already"):
        other.resume(session)
    journal.close()
    history = other.resume(session)
    assert history.messages == messages
    history.messages.append({**PROMPT, "content": "And?"})
    list(turn(other, history.messages, (PROSE, "two")))
    assert other.session == session
    assert contents(session) == ["Go.", "one", "And?", "two"]
    assert events(session).count("opened") == events(session).count("resumed") == 1


def test_a_session_that_is_open_elsewhere_costs_the_current_one_nothing(settings: Settings, journal: Journal) -> None:
    other = Journal(settings, notify=print)
    other.title = "Other."
    for each in (journal, other):
        list(turn(each, [PROMPT], (PROSE, "one")))
    with pytest.raises(UsageError):
        journal.resume(other.session)
    list(turn(journal, [PROMPT], (PROSE, "two")))
    assert contents(journal.session) == ["Go.", "two"]
    assert journal.session != other.session


def test_a_resumed_message_of_pieces_is_written_whole(journal: Journal) -> None:
    list(turn(journal, [PROMPT], (PROSE, "one")))
    journal.note("partial", role="computer", type="console", format="output", content="half")
    session = journal.session
    journal.close()
    history = journal.resume(session)
    assert [message["content"] for message in history.messages] == ["Go.", "one", "half"]
    journal.sync(history.messages)
    assert contents(session) == ["Go.", "one", "half"]
    assert restore(entries(session)).logged == 3


def test_a_session_whose_folder_was_removed_meanwhile_begins_anew(journal: Journal) -> None:
    messages = [PROMPT]
    list(turn(journal, messages, (PROSE, "one")))
    journal.close()
    store.remove(store.find("last"))
    list(turn(journal, messages, (PROSE, "two")))
    assert contents(journal.session) == ["Go.", "one", "two"]


def test_a_title_that_comes_later_is_kept(settings: Settings) -> None:
    journal = Journal(settings, notify=print)
    journal.run("shell", "ls", DONE)
    journal.title = "Then\nthis."
    list(turn(journal, [PROMPT], (PROSE, "one")))
    assert journal.session.record().title == "Then this."


def test_what_a_sandbox_is_made_with_is_kept_and_a_change_is_an_event(journal: Journal, settings: Settings) -> None:
    journal.sync([PROMPT])
    journal.describe_sandbox(container="c", env=("A",), secret=("TOKEN",))
    assert "policy" not in events(journal.session)
    assert journal.fits(journal.record)
    settings.network, settings.workspace, settings.engine = "full", "work:ro", "podman"
    assert not journal.fits(journal.record)
    journal.describe_sandbox(container="c")
    assert entries(journal.session)[-1]["policy"]["network"] == "full"
    record = journal.session.record()
    assert (record.container, record.env, record.secret, record.engine) == ("c", ("A",), ("TOKEN",), "podman")
    assert record.workspace == f"{Path('work').absolute()}:ro"


def test_the_record_follows_the_model(journal: Journal) -> None:
    journal.describe(model="demo")
    list(turn(journal, [PROMPT], (PROSE, "one")))
    assert journal.session.record().model == "demo"
    journal.describe(model="other")
    assert journal.session.record().model == "other"
