"""Files in and out against agents that name, send or withhold what they should not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from sandbox_interpreter.agent.frames import MAX_PAYLOAD, MOST_LISTING, Frame, encode, fragments
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.errors import ChannelError, SandboxInterpreterError, TransferError, UsageError
from sandbox_interpreter.sandbox import transfer
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.agents import Answer, agent

Open = Callable[..., Sandbox]


@pytest.fixture
def box_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.setattr(transfer, "ANSWER_SECONDS", 0.2)
    boxes: list[Sandbox] = []

    def make(**answers: Answer) -> Sandbox:
        boxes.append(Sandbox(engine=ScriptedEngine(agent(**answers)), notify=lambda _: None))
        return boxes[-1]

    yield make
    for box in boxes:
        box.close()


def listing(*names: bytes) -> Answer:
    return lambda frame: fragments("file_names", b"\0".join(names), MAX_PAYLOAD, id=frame.header["id"])


def done(frame: Frame, error: str | None = None) -> bytes:
    return encode("file_done", id=frame.header["id"], error=error)


def contents(data: bytes) -> Answer:
    return lambda frame: [encode("file_data", data, id=frame.header["id"]), done(frame)]


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def test_files_that_match_are_copied(box_of: Open, tmp_path: Path) -> None:
    box = box_of(file_list=listing(b"a.txt", "ü/b.txt".encode()), file_get=contents(b"data"))
    copied = box.download("**/*.txt", tmp_path / "out")
    assert [path.relative_to(tmp_path / "out").as_posix() for path in copied] == ["a.txt", "ü/b.txt"]
    assert all(path.read_bytes() == b"data" for path in copied)


@pytest.mark.parametrize("name", [
    b"../out.txt", b"/etc/x.txt", b"a/../../x.txt", b"./a.txt", b"a//b.txt", b"x/" * 500 + b"y.txt",
    b"n" * 300 + b".txt", b"\x1b]0;t\x07.txt", b"new\nline.txt", b"\xff.txt", "\u202etxt.exe.txt".encode(), b"..",
    b"x/..",
])
def test_a_hostile_name_is_refused_and_nothing_is_written(box_of: Open, tmp_path: Path, name: bytes) -> None:
    box = box_of(file_list=listing(b"good.txt", name), file_get=contents(b"data"))
    with pytest.raises(TransferError) as caught:
        box.download("**", tmp_path / "out")
    assert caught.value.report().isprintable() or "\n" in caught.value.report()
    assert "\x1b" not in caught.value.report()
    assert files_below(tmp_path) == ["out/good.txt"]


@pytest.mark.parametrize("name", [b".bashrc", b".git/hooks/pre-commit", b"Makefile", b"deep/a.csv", b"a.csv.exe"])
def test_a_name_that_nobody_asked_for_is_passed_over(box_of: Open, tmp_path: Path, name: bytes) -> None:
    box = box_of(file_list=listing(name, b"a.csv"), file_get=contents(b"1"))
    assert [path.name for path in box.download("*.csv", tmp_path / "out")] == ["a.csv"]
    assert files_below(tmp_path) == ["out/a.csv"]


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "", "a/../../b", "x\0y"])
def test_a_pattern_that_leads_outside_is_refused(box_of: Open, tmp_path: Path, pattern: str) -> None:
    with pytest.raises(UsageError):
        box_of().download(pattern, tmp_path)


def test_a_listing_without_end_is_cut_off(box_of: Open, tmp_path: Path) -> None:
    def endless(frame: Frame) -> Iterator[bytes]:
        while True:
            yield encode("file_names", b"a\0" * (MAX_PAYLOAD // 2), id=frame.header["id"], more=True)

    with pytest.raises(TransferError, match="Too many files"):
        box_of(file_list=endless).download("*", tmp_path)


def test_a_listing_of_the_largest_size_comes_through(box_of: Open, tmp_path: Path) -> None:
    names = b"\0".join(b"%08d" % number for number in range(MOST_LISTING // 9))
    assert box_of(file_list=listing(names)).download("*.csv", tmp_path) == []


def silence(_: Frame) -> Iterable[bytes]:
    return ()


def piece(kind: str, frame: Frame, data: bytes) -> bytes:
    return encode(kind, data, id=frame.header["id"], more=kind == "file_names")


def trickle(kind: str) -> Answer:
    def answer(frame: Frame) -> Iterator[bytes]:
        while True:
            yield piece(kind, frame, b"x")
            time.sleep(0.03)

    return answer


def empty_flood(kind: str) -> Answer:
    def answer(frame: Frame) -> Iterator[bytes]:
        while True:
            yield piece(kind, frame, b"")

    return answer


@pytest.mark.parametrize("answer", [silence, trickle("file_names"), empty_flood("file_names")],
                         ids=["silence", "trickle", "empty"])
def test_a_listing_that_gets_nowhere_is_given_up(box_of: Open, tmp_path: Path, answer: Answer) -> None:
    began = time.monotonic()
    with pytest.raises(SandboxInterpreterError):
        box_of(file_list=answer).download("*", tmp_path)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("answer", [silence, trickle("file_data"), empty_flood("file_data"),
                                    empty_flood("file_names")], ids=["silence", "trickle", "empty", "other"])
def test_a_file_that_gets_nowhere_is_given_up_and_leaves_no_part(box_of: Open, tmp_path: Path,
                                                                 answer: Answer) -> None:
    began = time.monotonic()
    with pytest.raises(SandboxInterpreterError):
        box_of(file_list=listing(b"a"), file_get=answer).download("*", tmp_path / "out")
    assert time.monotonic() - began < 5
    assert files_below(tmp_path) == []


def test_a_slow_disk_is_no_silence(box_of: Open) -> None:
    def slow(frame: Frame) -> Iterator[bytes]:
        return iter([encode("file_data", b"x" * 10, id=frame.header["id"])] * 4 + [done(frame)])

    channel = box_of(file_get=slow)._running().channel
    total = 0
    for piece in transfer.get(channel, "a"):
        total += len(piece)
        time.sleep(0.1)  # in all far longer than an answer may take
    assert total == 40


def test_a_file_sent_beyond_its_credit_ends_the_channel(box_of: Open, tmp_path: Path) -> None:
    def flood(frame: Frame) -> Iterator[bytes]:
        while True:
            yield encode("file_data", bytes(MAX_PAYLOAD), id=frame.header["id"])

    channel = box_of(file_get=flood)._running().channel
    pieces = transfer.get(channel, "a")
    next(pieces)
    time.sleep(0.3)
    with pytest.raises(ChannelError, match="more was sent"):
        list(pieces)


@pytest.mark.parametrize("error", ["\x1b[2Jgone\n\r", "x" * 60_000, "\ud800"])
def test_an_agents_reason_is_shown_as_text_and_clipped(box_of: Open, tmp_path: Path, error: str) -> None:
    box = box_of(file_list=lambda frame: [done(frame, error)])
    with pytest.raises(TransferError) as caught:
        box.download("*", tmp_path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_an_upload_is_confirmed(box_of: Open, tmp_path: Path) -> None:
    got: list[bytes] = []

    def take(frame: Frame) -> Iterable[bytes]:
        got.append(frame.payload)
        return [] if frame.header.get("more") else [done(frame)]

    (tmp_path / "f").write_bytes(bytes(200_000))
    box_of(file_put=take).upload(tmp_path / "f", "there/f")
    assert [len(data) for data in got] == [65_536, 65_536, 65_536, 3_392]


@pytest.mark.parametrize("answer", [silence, lambda frame: [encode("file_data", b"x", id=frame.header["id"])]],
                         ids=["silence", "another frame"])
def test_an_upload_that_is_not_confirmed_fails(box_of: Open, tmp_path: Path, answer: Answer) -> None:
    (tmp_path / "f").write_text("x")
    with pytest.raises(TransferError, match="'f'"):
        box_of(file_put=answer).upload(tmp_path / "f")


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_source_that_cannot_be_read_is_named(box_of: Open, tmp_path: Path, name: str) -> None:
    with pytest.raises(TransferError, match="could not be read"):
        box_of().upload(tmp_path / name, "x")


def test_an_agent_that_dies_in_mid_transfer_is_a_channel_error(box_of: Open, tmp_path: Path) -> None:
    def leave(frame: Frame) -> Iterator[bytes]:
        yield encode("file_data", b"half", id=frame.header["id"])
        raise SystemExit

    with pytest.raises(ChannelError, match=r"ended|broke"):
        box_of(file_list=listing(b"a"), file_get=leave).download("*", tmp_path / "out")
    assert files_below(tmp_path) == []
