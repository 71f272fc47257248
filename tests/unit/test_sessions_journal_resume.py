"""Sessions follow one another: closed, reset or taken up again, each keeps its own messages and record."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ModelUnavailable, UsageError
from sandbox_interpreter.messages import PROSE, Chunk
from sandbox_interpreter.sessions import log, store
from sandbox_interpreter.sessions.history import restore
from sandbox_interpreter.sessions.journal import Journal
from sandbox_interpreter.sessions.watch import watch
from tests.support.journals import DONE, PROMPT, begun, contents, entries, events, turn


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def settings() -> Settings:
    return Settings(model="demo")


@pytest.fixture
def journal(settings: Settings, told: list[str]) -> Journal:
    return begun(settings, told)


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
