"""Pictures that a prompt names: which files are read, and which never are."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import pytest

from sandbox_interpreter import attachments
from sandbox_interpreter.attachments import Attached, Refused, attached, found, names_any
from sandbox_interpreter.messages import Message
from tests.support.pictures import png_of

PNG = png_of([b"\xff\0\0"])
GIF = b"GIF89a\x09\0\x07\0" + bytes(20)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with some pictures, which is also the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("cat.png", "My Cat (1).png", "it's.PNG", "猫.png", "a.b.jpeg"):
        (tmp_path / name).write_bytes(PNG)
    (tmp_path / "dog.gif").write_bytes(GIF)
    return tmp_path


def names(prompt: str) -> list[str]:
    return [each.name for each in found(prompt) if isinstance(each, Attached)]


def refusals(prompt: str, workspace: Path | None = None) -> list[str]:
    return [each.reason for each in found(prompt, workspace=workspace) if isinstance(each, Refused)]


@pytest.mark.parametrize(("prompt", "expected"), [
    ("What is in cat.png?", ["cat.png"]),
    ("cat.png", ["cat.png"]),
    ("It's the cat's picture, cat.png, isn't it", ["cat.png"]),
    ("Compare ./cat.png, ~/dog.gif and (cat.png).", ["./cat.png", "~/dog.gif", "cat.png"]),
    ('Look at "My Cat (1).png".', ["My Cat (1).png"]),
    ("Look at 'My Cat (1).png'!", ["My Cat (1).png"]),
    (r"Look at My\ Cat\ \(1\).png", ["My Cat (1).png"]),  # as terminals paste a file that is dropped on them
    ('see "it\'s.PNG"', ["it's.PNG"]),
    ("これは猫.pngですか", []),
    ("これは 猫.png ですか", ["猫.png"]),
    ("file:///nowhere.png or file://dog.gif", ["dog.gif"]),
    ("`cat.png` and a.b.jpeg", ["cat.png", "a.b.jpeg"]),
    ("cat.png cat.png", ["cat.png"]),
    ("there-is-none.png, cat.pngx, cat.png/, .png, cat. png", []),
    ("plot it and save it as chart.png", []),
    ("~nobody-at-all/cat.png and " + "x" * 5000 + ".png", []),
])
def test_files_that_are_there_are_found_however_they_are_written(prompt: str, expected: list[str]) -> None:
    assert names(prompt) == expected


@pytest.mark.parametrize(("prompt", "expected"), [
    ("https://a.example/cat.png", ["https://a.example/cat.png"]),
    ("See (https://a.example/x/cat.JPG?w=1&h=2), please.", ["https://a.example/x/cat.JPG?w=1&h=2"]),
    ("http://a.example/cat.webp.", ["http://a.example/cat.webp"]),
    ("https://a.example/cat.html https://a.example/ ftp://a.example/cat.png", []),
])
def test_addresses_of_pictures_are_found_and_not_taken_for_files(prompt: str, expected: list[str]) -> None:
    assert names(prompt) == expected
    for each in found(prompt):
        assert isinstance(each, Attached)
        assert each.message == {"role": "user", "type": "image", "format": "url", "content": each.name}


def test_a_file_becomes_a_message_of_what_it_is_not_of_what_it_is_called(folder: Path) -> None:
    (folder / "really-a-gif.png").write_bytes(GIF)
    [each] = found("really-a-gif.png")
    assert isinstance(each, Attached)
    assert each.message == {"role": "user", "type": "image", "format": "base64.gif",
                            "content": base64.b64encode(GIF).decode()}


def test_what_is_no_picture_is_never_attached_whatever_it_is_called(folder: Path) -> None:
    (folder / "id_rsa.png").write_text("PRIVATE KEY")
    (folder / "page.gif").write_text("<svg onload=x></svg>")
    assert refusals("id_rsa.png page.gif") == ["it is no PNG, JPEG, GIF or WebP"] * 2


def test_what_is_no_regular_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    (folder / "zero.png").symlink_to("/dev/zero")
    assert list(found("pipe.png folder.png zero.png")) == []


def test_a_huge_or_unreadable_file_is_refused_with_the_reason(folder: Path) -> None:
    with (folder / "huge.png").open("wb") as file:
        file.truncate(40 * 1024 * 1024)
    assert refusals("huge.png") == ["it is larger than 32 MiB"]


def test_a_link_that_code_put_into_the_workspace_leads_nowhere(folder: Path) -> None:
    work = folder / "work"
    work.mkdir()
    (work / "chart.png").symlink_to(folder / "cat.png")
    (work / "deep").symlink_to(folder)
    (work / "real.png").write_bytes(PNG)
    prompt = "work/chart.png work/deep/cat.png work/../work/chart.png"
    assert refusals(prompt, workspace=work) == ["it is a link to a file outside of the workspace"] * 3
    (folder / "alias").symlink_to(work)
    assert refusals("alias/chart.png", workspace=work) == ["it is a link to a file outside of the workspace"]
    assert refusals("work/chart.png", workspace=folder / "alias") == ["it is a link to a file outside of the workspace"]
    assert [each.name for each in found("work/real.png", workspace=work)] == ["work/real.png"]
    assert isinstance(next(found("work/real.png", workspace=work)), Attached)


def test_no_more_are_read_than_a_request_shows(folder: Path) -> None:
    for number in range(20):
        (folder / f"{number}.png").write_bytes(PNG)
    assert len(names(" ".join(f"{number}.png" for number in range(20)))) == attachments._MOST


def told(prompt: str, *, sees: bool) -> tuple[list[Message], list[str]]:
    notices: list[str] = []
    return list(attached(prompt, sees=sees, workspace=None, notify=notices.append)), notices


def test_what_is_attached_is_told_and_what_is_not_too(folder: Path) -> None:
    (folder / "no.png").write_text("x")
    messages, notices = told("cat.png no.png https://a.example/b.png", sees=True)
    assert [message["format"] for message in messages] == ["url", "base64.png"]
    assert notices == ["Attached: https://a.example/b.png", "Attached: cat.png",
                       "no.png is not attached: it is no PNG, JPEG, GIF or WebP."]


def test_a_model_that_sees_nothing_gets_nothing_and_that_is_told() -> None:
    messages, notices = told("cat.png https://a.example/b.png", sees=False)
    assert messages == []
    assert notices == ["cat.png is not attached: this model sees no pictures. For one that does: --vision"]


@pytest.mark.parametrize("prompt", [
    "What is 2 + 2?", "save it as chart", ".png", "a png file", "x" * 200_000, "http://" * 30_000, "'" * 100_000,
    "'a " * 50_000, "\\" * 100_001, "( " * 50_000,
])
def test_most_prompts_name_none_and_that_is_seen_at_once(prompt: str) -> None:
    begun = time.perf_counter()
    assert not names_any(prompt)
    assert time.perf_counter() - begun < 10  # some ms; minutes where the time is no longer linear in the length
