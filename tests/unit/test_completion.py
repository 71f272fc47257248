from __future__ import annotations

import os
from pathlib import Path

import pytest
from prompt_toolkit.completion import CompleteEvent, Completion
from prompt_toolkit.document import Document

from sandbox_interpreter import magics
from sandbox_interpreter.terminal.completion import PromptCompleter

HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2Jx\u202egpj\n.csv"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the sandbox's folder, which is beside the current one."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, here / "data", there, there / "out"):
        folder.mkdir()
    for name in ("report.csv", "report two.csv", "données.csv", ".hidden", "data/rain.csv"):
        (here / name).touch()
    for name in ("plot.png", "out/table.csv"):
        (there / name).touch()
    monkeypatch.chdir(here)
    return there


def offered(text: str, workspace: Path | None = None) -> list[Completion]:
    completer = PromptCompleter(lambda: workspace)
    return list(completer.get_completions(Document(text), CompleteEvent(completion_requested=True)))


def becomes(text: str, workspace: Path | None = None) -> list[str]:
    """Return what the whole text before the cursor becomes with each completion."""
    return [text[:len(text) + each.start_position] + each.text for each in offered(text, workspace)]


def test_every_command_is_offered_with_what_it_is_for() -> None:
    names = [f"%{magic.name}" for magic in magics.every()]
    for text in ("", "%"):
        assert becomes(text) == names
    assert {each.display_meta_text for each in offered("%")} == {magic.purpose for magic in magics.every()}


@pytest.mark.parametrize(("text", "expected"), [
    ("%und", ["%undo"]), ("%UND", ["%undo"]), ("%nothing", []), ("%auto_run t", ["%auto_run true"]),
    ("%auto_run ", ["%auto_run true", "%auto_run false"]), ("%auto_run true ", []), ("%help ", []), ("%what rep", [
        "%what report\\ two.csv", "%what report.csv"])])
def test_commands_and_their_arguments(workspace: Path, text: str, expected: list[str]) -> None:
    assert becomes(text) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("%save_message da", ["%save_message data/"]),
    ("%save_message report t", ["%save_message report two.csv"]),  # all that follows is the path
    ("%upload report\\ t", ["%upload report\\ two.csv"]),
    ("%upload 'report t", ["%upload report\\ two.csv"]),
    ("%upload data/rain.csv ", []),  # what it is to be called there is no file yet
    ("%download ", ["%download out/", "%download plot.png"]),
    ("%download out/t", ["%download out/table.csv"]),
    ("%download '*' da", ["%download '*' data/"]),
    ("%% ls -l out/", ["%% ls -l out/table.csv"]),
    ("%%ls pl", ["%%ls plot.png"]),
    ("look at rep", ["look at report\\ two.csv", "look at report.csv"]),
    ("don't read data/r", ["don't read data/rain.csv"]),
    ("read do", ["read données.csv"]),
    ("read .h", ["read .hidden"]),
    ("read /nonexistent/x", []), ("read \0", []), ("read " + "x" * 5000, []), ("read ~nobodyatall/", [])])
def test_paths(workspace: Path, text: str, expected: list[str]) -> None:
    assert becomes(text, workspace) == expected


def test_the_home_folder_may_be_written_as_a_tilde(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(workspace))
    assert becomes("read ~/pl") == ["read ~/plot.png"]


@pytest.mark.parametrize("word", ["/", "../", "out/../../here/", "~/", "link/", "link/r"])
def test_no_name_outside_of_the_sandbox_is_offered_as_one_of_its_files(workspace: Path, word: str) -> None:
    (workspace / "link").symlink_to(workspace.parent / "here")
    assert [text for text in becomes(f"%download {word}", workspace) if "report" in text or "here" in text] == []


def test_without_a_sandbox_none_of_its_files_is_offered(workspace: Path) -> None:
    assert becomes("%download ") == []


@pytest.mark.parametrize("text", ["read \x1b", "%upload ", "%download "])
def test_a_hostile_name_is_shown_and_not_obeyed(workspace: Path, text: str) -> None:
    for folder in (workspace, workspace.parent / "here"):
        (folder / HOSTILE).touch()
    shown = [each.display_text for each in offered(text, workspace) if "52;c" in each.display_text]
    assert shown == ["␛]52;c;aGk=␇␛[2Jx⟨U+202E⟩gpj␊.csv"]
    assert any(magics._words(text)[-1].endswith(HOSTILE) for text in becomes(text, workspace))


def test_a_name_that_no_text_can_hold_is_not_offered(workspace: Path) -> None:
    Path(os.fsdecode(b"raw\xff.csv")).touch()
    assert becomes("read raw") == []


def test_crowded_folders_are_looked_at_in_part(workspace: Path) -> None:
    for number in range(400):
        (workspace / f"n{number}").touch()
    assert len(offered("%download n", workspace)) == 300
