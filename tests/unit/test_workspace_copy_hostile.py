"""A workspace that is a copy, against agents that tell, send and name what they should not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.agent.frames import MAX_PAYLOAD, Frame, encode, fragments
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox import transfer
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.agents import Answer, agent, status

Open = Callable[..., Sandbox]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (folder := tmp_path / "work").mkdir()
    (folder / "mine").write_text("mine")
    return folder


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch, work: Path, notices: list[str]) -> Iterator[Open]:
    """Give a sandbox whose agent takes what it is given, and lists what the test says from the first run on."""
    monkeypatch.setattr(transfer, "ANSWER_SECONDS", 0.3)
    boxes: list[Sandbox] = []

    def make(*records: bytes, get: Answer | None = None, tree: Answer | None = None) -> Sandbox:
        ran: list[bool] = []

        def execute(frame: Frame) -> Iterable[bytes]:
            ran.append(True)
            return [status(frame)]

        def listing(frame: Frame) -> Iterable[bytes]:
            if ran and tree:
                return tree(frame)
            return listed(b"\0".join(records if ran else (b"f 4 420 1 mine",)))(frame)

        boxes.append(Sandbox(engine=ScriptedEngine(agent(
            file_put=done, folder_put=done, link_put=done, tree_list=listing, execute_request=execute,
            file_get=get or contents(b"theirs"))), policy=Policy(memory=64 * MIB, grace=0.1),
            workspace=f"{work}:copy", notify=notices.append))
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


def done(frame: Frame) -> Iterable[bytes]:
    return [] if frame.header.get("more") else [encode("file_done", id=frame.header["id"], error=None)]


def listed(data: bytes) -> Answer:
    return lambda frame: [*fragments("file_data", data, MAX_PAYLOAD, id=frame.header["id"]), *done(frame)]


def contents(data: bytes) -> Answer:
    return lambda frame: [encode("file_data", data, id=frame.header["id"]), *done(frame)]


def ran(box: Sandbox) -> None:
    list(box.execute("python", "1"))


@pytest.mark.parametrize("name", [
    b"../out", b"/etc/out", b"a/../../out", b"./a", b"a//b", b"", b"x/" * 70 + b"y", b"n" * 300, b"\x1b]0;t\x07",
    b"new\nline", b"\xff", "\u202etxt.exe".encode(), b"..", b".",
])
def test_a_name_that_leads_elsewhere_is_left_and_the_others_come(copied: Open, work: Path, notices: list[str],
                                                                 tmp_path: Path, name: bytes) -> None:
    ran(copied(b"f 4 420 1 mine", b"f 6 420 1 " + name, b"d 0 448 1 " + name + b"/d", b"f 6 420 1 good"))
    assert sorted(path.name for path in work.iterdir()) == ["good", "mine"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["work"]
    assert len(notices) == 1
    assert notices[0].startswith(f"Left in the sandbox, not in {work}: ")
    assert notices[0].isprintable()


def test_nothing_is_written_through_a_link_of_this_machine(copied: Open, work: Path, notices: list[str],
                                                           tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("kept")
    (work / "folder").symlink_to(tmp_path / "outside")
    (work / "file").symlink_to(tmp_path / "outside/file")
    ran(copied(b"f 4 420 1 mine", b"d 0 448 1 folder", b"f 6 420 1 folder/planted", b"f 6 420 1 file"))
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["file"]
    assert (tmp_path / "outside/file").read_text() == "kept"
    assert "folder/planted" in " ".join(notices)


def test_a_folder_that_becomes_a_link_while_it_is_written_to_leads_nowhere(copied: Open, work: Path,
                                                                          tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (work / "sub").mkdir()

    def swap(frame: Frame) -> Iterable[bytes]:
        if (work / "sub").is_dir() and not (work / "sub").is_symlink():
            (work / "sub").rename(work / "moved")
            (work / "sub").symlink_to(tmp_path / "outside")
        return contents(b"theirs")(frame)

    ran(copied(b"f 4 420 1 mine", b"d 0 448 d sub", b"f 6 420 1 sub/planted", get=swap))
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("records", [
    [b"f"], [b"x 1 420 1 name"], [b"f -1 420 1 name"], [b"f 1 rwx 1 name"], [b"f 1 420 name"], [b"\xff\xfe"],
    [b"f  420 1 name"],
])
def test_a_list_that_is_none_is_said_and_nothing_is_touched(copied: Open, work: Path, notices: list[str],
                                                           records: list[bytes]) -> None:
    ran(copied(*records))
    assert [path.name for path in work.iterdir()] == ["mine"]
    assert "gave a list of files that is none" in notices[0]


def test_a_list_without_end_is_refused(copied: Open, notices: list[str]) -> None:
    def endless(frame: Frame) -> Iterator[bytes]:
        for _ in range(40):
            yield encode("file_data", bytes(MAX_PAYLOAD), id=frame.header["id"])

    ran(copied(tree=endless))
    assert any("Not all that has changed" in notice or "ended before" in notice for notice in notices)


def test_more_bytes_or_files_than_fit_into_the_sandbox_are_refused(copied: Open, work: Path,
                                                                  notices: list[str]) -> None:
    def flood(frame: Frame) -> Iterator[bytes]:
        for _ in range(20):
            yield encode("file_data", bytes(MAX_PAYLOAD // 16), id=frame.header["id"])
        yield from done(frame)

    ran(copied(b"f 4 420 1 mine", *(b"f 1 420 1 %d" % number for number in range(20)), get=flood))
    assert "offered too many bytes" in notices[0]
    assert sum(path.stat().st_size for path in work.iterdir()) <= 16 * MIB
    ran(copied(b"f 4 420 1 mine", *(b"f 1 420 1 many%d" % number for number in range(3000))))
    assert "offered too many files" in notices[1]
    assert len(list(work.iterdir())) < 2100


def test_an_agent_that_falls_silent_is_not_waited_for_for_every_file(copied: Open, work: Path,
                                                                     notices: list[str]) -> None:
    ran(copied(b"f 4 420 1 mine", *(b"f 1 420 1 %d" % number for number in range(100)), get=lambda _: []))
    assert "stopped answering" in notices[0]
    assert [path.name for path in work.iterdir()] == ["mine"]


def test_an_agent_that_takes_nothing_stops_the_start(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "ANSWER_SECONDS", 0.3)
    box = Sandbox(engine=ScriptedEngine(agent()), workspace=f"{work}:copy", policy=Policy(memory=64 * MIB, grace=0.1))
    with pytest.raises(TransferError, match="stopped answering"):
        ran(box)
    box.close()


def test_a_failed_copy_into_the_sandbox_never_comes_back_over_ours(work: Path, notices: list[str]) -> None:
    engine = ScriptedEngine(agent(
        file_put=lambda frame: [encode("file_done", id=frame.header["id"], error="No space left on device")],
        tree_list=listed(b"f 2 420 9 mine"), execute_request=lambda frame: [status(frame)], file_get=contents(b"mi")))
    with Sandbox(engine=engine, workspace=f"{work}:copy", policy=Policy(memory=64 * MIB, grace=0.1),
                 notify=notices.append) as other:
        ran(other)
    assert (work / "mine").read_text() == "mine"
    assert f"Not copied into the sandbox from {work}: mine (No space left on device)." in notices
