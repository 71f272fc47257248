from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from sandbox_interpreter.terminal.past_prompts import PastPrompts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "prompts.jsonl"


def kept(path: Path) -> list[str]:
    return list(PastPrompts(path).newest_first())


def test_prompts_are_recalled_by_the_next_program_the_newest_first(path: Path) -> None:
    texts = ["plain", "two\nlines", "日本語 😀", "\x1b]52;c;aGk=\x07 and \u202e", "lone \udc80", '"""\nquoted\n"""']
    past = PastPrompts(path)
    for text in texts:
        past.add(text)
    assert kept(path) == texts[::-1]


def test_only_their_user_may_read_them(path: Path) -> None:
    before = os.umask(0)
    try:
        PastPrompts(path).add("mine")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.chmod(0o644)
    PastPrompts(path).add("also mine")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_prompt_is_recalled_once_however_often_it_was_typed(path: Path) -> None:
    for text in ("one", "two", "one", "one"):
        PastPrompts(path).add(text)
    assert kept(path) == ["one", "two"]


@pytest.mark.parametrize("text", ["", " \n", " begins with a blank", "x" * 20_001])
def test_some_prompts_are_not_kept(path: Path, text: str) -> None:
    PastPrompts(path).add(text)
    assert not path.exists()


def test_the_file_stays_small_and_the_newest_prompts_stay_in_it(path: Path) -> None:
    past = PastPrompts(path)
    for number in range(160):
        past.add(f"{number} " + "x" * 10_000)
    assert path.stat().st_size < 1_200_000
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    numbers = [int(text.split()[0]) for text in kept(path)]
    assert numbers[:20] == list(range(159, 139, -1))
    assert list(path.parent.iterdir()) == [path]


def test_of_many_prompts_the_newest_thousand_are_recalled(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("".join(f"{json.dumps(str(number))}\n" for number in range(3000)))
    assert kept(path) == [str(number) for number in range(2999, 1999, -1)]


def test_lines_that_are_no_prompts_are_left_out(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b'"good"\n{"a": 1}\n\xff\xfe\n[1\n42\n' + b"[" * 100_000 + b'\n"also good"\n"torn')
    PastPrompts(path).add("new")
    assert kept(path) == ["new", "also good", "good"]


def test_a_file_that_cannot_be_is_no_failure(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "target").write_text('"from a link"\n')
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "pipe", tmp_path / "link", tmp_path / "folder", tmp_path / "target" / "below"):
        PastPrompts(path).add("mine")
        assert kept(path) == []
    assert (tmp_path / "target").read_text() == '"from a link"\n'


def test_several_programs_keep_theirs_at_once(path: Path) -> None:
    def add(number: int) -> None:
        for each in range(50):
            PastPrompts(path).add(f"{number}-{each}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(kept(path)) == {f"{number}-{each}" for number in range(4) for each in range(50)}
