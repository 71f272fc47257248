from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.messages import Message
from sandbox_interpreter.sessions import log
from sandbox_interpreter.sessions.history import facts_of, restore
from sandbox_interpreter.sessions.log import EventLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session" / "events.jsonl"


@pytest.fixture
def events(path: Path) -> Iterator[EventLog]:
    path.parent.mkdir()
    opened = EventLog(path)
    yield opened
    opened.close()


def names(path: Path) -> list[str]:
    return [entry["event"] for entry in log.read(path).entries]


# --- writing ---


def test_events_are_appended_one_json_object_a_line(events: EventLog, path: Path) -> None:
    events.append("message", {"role": "user", "content": "日本\n語 \ud800"})
    events.append("run", {"language": "python", "exit_code": 0}, durable=True)
    first, second = map(json.loads, path.read_text("utf-8").splitlines())
    assert first["event"] == "message"
    assert first["content"] == "日本\n語 \ud800"
    assert first["time"].endswith("+00:00")
    assert (second["event"], second["exit_code"]) == ("run", 0)


def test_each_line_is_one_write(events: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    write = os.write

    def note(file: int, data: bytes) -> int:
        written.append(bytes(data))
        return write(file, data)

    monkeypatch.setattr(os, "write", note)
    events.append("a", {"content": "x" * 1_000_000})
    events.append("b", {})
    assert [line.count(b"\n") for line in written] == [1, 1]


def test_what_matters_is_on_the_disk_before_anything_else_happens(events: EventLog,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    events.append("message", {})
    assert synced == []
    events.append("approval", {}, durable=True)
    assert len(synced) == 1


WRITER = """
import sys
from pathlib import Path
from sandbox_interpreter.sessions.log import EventLog
log = EventLog(Path(sys.argv[1]))
for number in range(10_000_000):
    log.append("message", {"number": number, "content": "雨" * 500})
"""


def test_a_program_killed_while_it_writes_leaves_whole_lines(path: Path) -> None:
    path.parent.mkdir()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    while not path.exists() or path.stat().st_size < 1_000_000:
        assert writer.poll() is None
        time.sleep(0.01)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    found = log.read(path)
    assert [entry["number"] for entry in found.entries] == list(range(len(found.entries)))
    assert len(found.entries) > 100


# --- reading ---


def test_a_log_that_does_not_exist_is_empty(path: Path) -> None:
    assert log.read(path) == log.Events()


@given(st.integers(min_value=1))
def test_a_torn_last_line_is_tolerated_reported_and_closed_before_the_next(tmp_path_factory: pytest.TempPathFactory,
                                                                         cut: int) -> None:
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    first = EventLog(path)
    first.append("one", {})
    whole = path.stat().st_size
    first.append("two", {"content": "雨😀"})
    first.close()
    cut = whole + cut % (path.stat().st_size - whole - 1) + 1  # before the end of the second line, which is not empty
    os.truncate(path, cut)
    found = log.read(path)
    if len(found.entries) == 1:  # if only the newline is missing, nothing is lost
        problem, = found.problems
        assert "line 2, the last, is torn" in problem
    again = EventLog(path)
    again.append("three", {})
    again.close()
    assert names(path) == [*[entry["event"] for entry in found.entries], "three"]


@pytest.mark.parametrize("line", [b"garbage", b"\xff\xfe", b"[]", b"{}", b'{"event": 1}', b"[" * 100_000, b"null",
                                  b"1e999", b'{"event": "a"', b"\x00" * 100])
def test_a_line_that_is_no_event_is_passed_over_and_reported(events: EventLog, path: Path, line: bytes) -> None:
    events.append("one", {})
    with path.open("ab") as file:
        file.write(line + b"\n")
    events.append("two", {})
    found = log.read(path)
    assert [entry["event"] for entry in found.entries] == ["one", "two"]
    problem, = found.problems
    assert "line 2 is no event" in problem


# --- disks and other programs ---


def test_a_disk_that_fills_up_in_the_middle_of_a_line_spoils_only_that_line(path: Path) -> None:
    path.parent.mkdir()
    events = EventLog(path)
    events.append("one", {})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, before[1]))
        for _ in range(2):
            with pytest.raises(OSError, match="large") as caught:
                events.append("two", {"content": "x" * 100})
            assert caught.value.errno == errno.EFBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    events.append("three", {})
    events.close()
    assert names(path) == ["one", "three"]
    assert len(log.read(path).problems) == 1


def test_one_program_at_a_time_has_a_log_open(events: EventLog, path: Path) -> None:
    assert log.is_open(path)
    with pytest.raises(UsageError, match="session is open already") as caught:
        EventLog(path)
    assert caught.value.next_step
    events.close()
    events.close()
    assert not log.is_open(path)
    EventLog(path).close()


def test_a_program_that_was_killed_has_its_log_open_no_more(path: Path) -> None:
    path.parent.mkdir()
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
    while not path.exists() or path.stat().st_size == 0:
        time.sleep(0.01)
    assert log.is_open(path)
    writer.kill()
    writer.wait()
    EventLog(path).close()


def test_looking_whether_it_is_open_does_not_keep_anybody_out(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with path.open("rb") as file:
        import fcntl
        import threading

        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.03, fcntl.flock, (file, fcntl.LOCK_UN)).start()
        EventLog(path).close()
        time.sleep(0.05)


# --- the conversation of a log ---


def event(name: str, **facts: Any) -> dict[str, Any]:
    return {"event": name, **facts}


def said(role: str, content: str, kind: str = "message", **more: str) -> dict[str, Any]:
    return {"role": role, "type": kind, "content": content, **more}


def code(content: str) -> dict[str, Any]:
    return said("assistant", content, "code", format="python")


def out(content: str) -> dict[str, Any]:
    return said("computer", content, "console", format="output")


def test_messages_come_back_as_they_were() -> None:
    messages = [said("user", "a"), code("1"), out("1\n"), said("assistant", "b")]
    history = restore([event("opened"), *(event("message", time="t", **each) for each in messages), event("notice")])
    assert history.messages == messages
    assert history.logged == 4
    assert history.problems == []


def test_what_was_undone_does_not_come_back() -> None:
    history = restore([event("message", **said("user", text)) for text in "abc"] + [
        event("history", keep=1), event("message", **said("user", "d"))])
    assert [message["content"] for message in history.messages] == ["a", "d"]


@pytest.mark.parametrize("keep", [-1, 2, "1", None, 0.5])
def test_a_history_that_cannot_be_is_reported(keep: Any) -> None:
    history = restore([event("message", **said("user", "a")), event("history", keep=keep)])
    assert len(history.messages) == 1
    assert len(history.problems) == 1


@pytest.mark.parametrize("facts", [{}, {"role": "nobody", "content": "a"}, {"role": "user", "content": 3},
                                   {"role": ["user"], "type": "message", "content": "a"}])
def test_a_message_that_is_none_is_reported(facts: dict[str, Any]) -> None:
    history = restore([event("message", **facts), event("message", **said("user", "a"))])
    assert [message["content"] for message in history.messages] == ["a"]
    assert "is none" in history.problems[0]


def test_a_message_that_never_came_whole_is_put_together_from_its_pieces() -> None:
    pieces = [event("partial", **out(text)) for text in ("one\n", "two\n")]
    whole = [event("message", **code("loop")), *pieces]
    history = restore(whole)
    assert history.messages == [code("loop"), out("one\ntwo\n")]
    assert history.logged == 1
    assert history.running == code("loop")
    ended = restore([*whole, event("run"), event("message", **out("one\ntwo\nthree\n"))])
    assert ended.messages == [code("loop"), out("one\ntwo\nthree\n")]
    assert (ended.logged, ended.running, ended.has_run) == (2, None, True)


def test_pieces_of_another_message_begin_anew() -> None:
    history = restore([event("partial", **out("old")), event("partial", **said("assistant", "new"))])
    assert history.messages == [said("assistant", "new")]


@pytest.mark.parametrize(("events", "has_run"), [
    ([], False), ([event("run")], True), ([event("message", **code("x"))], True),
    ([event("sandbox", state="lost"), event("run")], True),
    ([event("run"), event("sandbox", state="reset")], False), ([event("run"), event("sandbox", state="lost")], False),
    ([event("run"), event("sandbox", state="reattached")], True),
])
def test_it_is_known_whether_the_model_may_count_on_variables(events: list[dict[str, Any]], has_run: bool) -> None:
    assert restore(events).has_run is has_run


def test_only_what_makes_a_message_is_written_of_it() -> None:
    message: Message = {"role": "user", "type": "message", "content": "a"}
    assert facts_of({**message, "start": True, "extra": object()}) == message
