from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.errors import UsageError, WorkspaceError
from sandbox_interpreter.sandbox.workspace import SANDBOX_UID
from sandbox_interpreter.sessions import store
from sandbox_interpreter.sessions.log import EventLog
from sandbox_interpreter.sessions.session import Record, Session
from sandbox_interpreter.sessions.store import slug


def create(title: str = "", *, root: Path | None = None, **facts: str) -> Session:
    return store.create(Record(title=title, **facts), root=root)  # type: ignore[arg-type]  # the texts among its fields


def test_a_session_is_a_folder_named_after_time_and_first_message(tmp_path: Path) -> None:
    session = create("Plot the rainfall!", root=tmp_path, model="demo")
    assert session.folder.parent == tmp_path / "sessions"
    assert session.name.endswith("-plot-the-rainfall")
    record = yaml.safe_load((session.folder / "session.yaml").read_text("utf-8"))
    assert record["id"] == session.name
    assert record["title"] == "Plot the rainfall!"
    assert record["model"] == "demo"
    assert record["created"]


def test_the_folder_is_private_and_its_workspace_belongs_to_the_container_user(tmp_path: Path) -> None:
    session = create(root=tmp_path)
    workspace = session.make_workspace()
    assert session.make_workspace() == workspace == session.own_workspace
    assert stat.S_IMODE(session.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(workspace.stat().st_mode) == 0o700
    assert workspace.stat().st_uid == (SANDBOX_UID if os.geteuid() == 0 else os.geteuid())


def test_two_sessions_of_one_second_and_title_have_two_folders(tmp_path: Path) -> None:
    assert len({create("same", root=tmp_path).folder for _ in range(5)}) == 5


@pytest.mark.parametrize(("title", "name"), [
    ("Plot ../../etc/passwd $(rm -rf ~)", "plot-etc-passwd-rm-rf"),
    ("雨量をグラフにして", "雨量をグラフにして"),
    ("🎉 party 🎉", "🎉-party-🎉"),
    ("a\0b\nc\x1b[31m\ud800", "a-b-c-31m"),
    ("-rf --help", "rf-help"),
    ("/////", ""),
    ("...", ""),
    ("Ｆｕｌｌ ｗｉｄｔｈ", "ｆｕｌｌ-ｗｉｄｔｈ"),
])
def test_names_are_readable(title: str, name: str) -> None:
    assert slug(title) == name


@given(st.text())
def test_every_title_makes_a_valid_short_name(title: str) -> None:
    name = slug(title)
    assert len(name.encode()) <= 160
    assert not set(name) & set("/\0\n\\ '\"$`*?<>|&;:")
    assert not name.startswith(("-", "."))


LONG = "😀雨" * 500


@pytest.mark.parametrize("title", ["雨量をグラフにして", "🎉 party 🎉", LONG, "/////", "../../etc/passwd", "a" * 5000,
                                   "\0", "", "con", ".", "..", "~", "-rf", "\u202egnp.exe", "e\u0301\u0302" * 400])
def test_names_of_history_files_are_valid_unique_and_readable(tmp_path: Path, title: str) -> None:
    sessions = [create(title, root=tmp_path) for _ in range(3)]
    assert len({session.name for session in sessions}) == 3
    for session in sessions:
        EventLog(session.events).close()
        assert session.folder.parent == tmp_path / "sessions"
        assert len(session.name.encode()) <= 255
        assert session.name.isprintable()
        assert not set(session.name) & set("/\\ ")
    assert {each.name for each in store.every(root=tmp_path)} == {session.name for session in sessions}


@given(st.text(max_size=300))
def test_every_title_makes_a_session(tmp_path_factory: pytest.TempPathFactory, title: str) -> None:
    session = create(title, root=tmp_path_factory.mktemp("data"))
    assert session.record().created
    assert session.record().title[:5] == " ".join(title.split()).encode("utf-8", "backslashreplace").decode()[:5]


# --- the record ---


RECORD = Record(title="雨", model="demo", image="python", image_id="sbi-python:1@sha256:00", workspace="/work:ro",
                container="c0ffee", policy={"network": "none", "memory": 1 << 30, "grace": 2.0}, env=("A",),
                secret=("B",))


def test_the_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    session = store.create(RECORD, root=tmp_path)
    assert replace(session.record(), created="") == RECORD
    session.describe(replace(session.record(), model="openai/gpt"))
    assert session.record().model == "openai/gpt"
    assert [path.name for path in session.folder.iterdir()] == ["session.yaml"]


def test_the_record_makes_the_same_sandbox_again() -> None:
    assert RECORD.settings() == {"network": "none", "memory": 1 << 30, "image": "python", "workspace": "/work:ro"}
    assert Record(image="base").settings() == {"image": "base", "workspace": None}


@pytest.mark.parametrize("text", ["", "[1, 2]", "title: [x]\nimage: 3\npolicy: none\nenv: [1]\nunknown: 1\n", "a: b: c",
                                  "!!python/object/apply:os.system ['true']", "\x00", "\udcff"])
def test_a_record_that_somebody_spoilt_is_empty_where_it_is(tmp_path: Path, text: str) -> None:
    session = create(root=tmp_path)
    (session.folder / "session.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert session.record() == Record()


def test_a_disk_that_is_full_leaves_the_record_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = create("kept", root=tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkspaceError, match="No space left"):
        session.describe(Record(title="new"))
    with pytest.raises(WorkspaceError, match="No space left"):
        create("another", root=tmp_path)
    assert session.record().title == "kept"
    assert [path.name for path in session.folder.iterdir()] == ["session.yaml"]
    assert store.every(root=tmp_path) == [session]


# --- pictures ---


def test_pictures_are_numbered_never_overwritten_and_not_kept_twice(tmp_path: Path) -> None:
    session = create(root=tmp_path)
    paths = [session.save_picture(data, ".png") for data in (b"one", b"two", b"one", b"three")]
    assert [path.name for path in paths] == ["picture-1.png", "picture-2.png", "picture-1.png", "picture-3.png"]
    assert [path.read_bytes() for path in paths] == [b"one", b"two", b"one", b"three"]


def test_a_root_that_is_a_file_is_said_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="Cannot create a session") as caught:
        create(root=tmp_path / "file")
    assert "SBI_DATA_DIR" in caught.value.next_step


# --- finding and removing ---


def used(session: Session, when: float) -> Session:
    EventLog(session.events).close()
    os.utime(session.events, (when, when))
    return session


def test_sessions_are_listed_with_the_newest_first(tmp_path: Path) -> None:
    assert store.every(root=tmp_path) == []
    old, new, newest = (used(create(title, root=tmp_path), when) for title, when in (("b", 10), ("a", 20), ("c", 30)))
    (tmp_path / "sessions" / "no-session").mkdir()
    assert store.every(root=tmp_path) == [newest, new, old]
    used(old, 40)
    assert store.every(root=tmp_path)[0] == old


def test_a_session_is_found_by_its_name_a_part_of_it_or_as_the_last(tmp_path: Path) -> None:
    rain, snow = (used(create(title, root=tmp_path), when) for title, when in (("Plot the rain", 1), ("plot SNOW", 2)))
    assert store.find(rain.name, root=tmp_path) == rain
    assert store.find("THE-RAIN", root=tmp_path) == rain
    assert store.find("last", root=tmp_path) == snow


@pytest.mark.parametrize(("name", "said"), [("plot", "2 sessions"), ("hail", "no session 'hail'"),
                                              ("", "no session ''")])
def test_a_name_that_means_none_or_several_is_an_error_that_helps(tmp_path: Path, name: str, said: str) -> None:
    for title in ("plot rain", "plot snow"):
        create(title, root=tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        store.find(name, root=tmp_path)
    assert caught.value.next_step


def test_a_removed_session_leaves_nothing(tmp_path: Path) -> None:
    session = create(root=tmp_path)
    (session.make_workspace() / "deep").mkdir(mode=0)
    store.remove(session, root=tmp_path)
    assert list((tmp_path / "sessions").iterdir()) == []


def test_a_session_that_is_open_is_not_removed(tmp_path: Path) -> None:
    session = create(root=tmp_path)
    opened = EventLog(session.events)
    with pytest.raises(UsageError, match="open"):
        store.remove(session, root=tmp_path)
    opened.close()
    store.remove(session, root=tmp_path)
    assert not session.folder.exists()


def test_files_stay_while_another_session_works_on_them_and_go_with_the_last(tmp_path: Path) -> None:
    first = create("first", root=tmp_path)
    (first.make_workspace() / "data").write_text("kept")
    first.save_picture(b"picture", ".png")
    second, third = (create(title, root=tmp_path, workspace=str(first.own_workspace)) for title in ("second", "third"))
    store.remove(first, root=tmp_path)
    assert [path.name for path in first.folder.iterdir()] == ["workspace"]
    assert first not in store.every(root=tmp_path)
    store.remove(second, root=tmp_path)
    assert (first.own_workspace / "data").read_text() == "kept"
    store.remove(third, root=tmp_path)
    assert list((tmp_path / "sessions").iterdir()) == []


def test_a_folder_of_the_users_stays_when_its_session_is_removed(tmp_path: Path) -> None:
    work = tmp_path / "work" / "workspace"
    work.mkdir(parents=True)
    store.remove(create(root=tmp_path, workspace=str(work)), root=tmp_path)
    assert work.is_dir()
