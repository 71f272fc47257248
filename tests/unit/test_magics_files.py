from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import nbformat
import pytest

from sandbox_interpreter import magics
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import SandboxInterpreterError, TransferError, UsageError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import Message, fold
from sandbox_interpreter.sessions import log
from sandbox_interpreter.sessions.history import restore

TALK: list[Message] = [
    {"role": "user", "type": "message", "content": "Say it: hidden-value"},
    {"role": "assistant", "type": "code", "format": "python", "content": "print(1)"},
    {"role": "computer", "type": "console", "format": "output", "content": "1\n"},
]
TOLD = [{**message, "content": message["content"].replace("hidden-value", "[secret TOKEN]")} for message in TALK]


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    interpreter = Interpreter(Settings(model="demo"), secrets={"TOKEN": "hidden-value"})
    interpreter.messages = TALK
    return interpreter


def answer(interpreter: Interpreter, text: str) -> str:
    message, = fold(magics.run(interpreter, text))
    return message["content"]


def restored(interpreter: Interpreter) -> list[Message]:
    return restore(log.read(interpreter.workbench.session.events).entries).messages


# --- %save_message, %load_message ---


@pytest.mark.parametrize(("typed", "name"), [("", "messages.json"), (" a b.json", "a b.json"), (" 'c.json'", "c.json"),
                                             (" new/d.json", "new/d.json")])
def test_save_message_writes_json_and_load_message_reads_it(interpreter: Interpreter, typed: str, name: str) -> None:
    assert f"{name}`" in answer(interpreter, f"%save_message{typed}")
    assert json.loads(Path(name).read_text()) == TOLD
    interpreter.messages = []
    assert "3 messages" in answer(interpreter, f"%load_message{typed}")
    assert interpreter.messages == TOLD
    assert restored(interpreter) == TOLD


def test_a_path_may_begin_with_the_home(interpreter: Interpreter, tmp_path: Path,
                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    answer(interpreter, "%save_message ~/kept.json")
    assert (tmp_path / "kept.json").exists()


@pytest.mark.parametrize(("content", "told"), [
    (None, "cannot be read: No such file"), ("{", "no JSON"), ("[3]", "message 1"), ("", "no JSON")])
def test_load_message_of_a_file_that_is_missing_or_malformed_is_told_and_nothing_is_lost(
        interpreter: Interpreter, content: str | None, told: str) -> None:
    if content is not None:
        Path("messages.json").write_text(content)
    with pytest.raises(SandboxInterpreterError, match=told) as caught:
        answer(interpreter, "%load_message")
    assert isinstance(caught.value, UsageError | TransferError)
    assert "messages.json" in str(caught.value)
    assert caught.value.next_step
    assert interpreter.messages == TALK


def test_a_conversation_that_was_loaded_is_kept_whatever_becomes_of_it(interpreter: Interpreter) -> None:
    answer(interpreter, "%save_message")
    answer(interpreter, "%load_message")
    folder = interpreter.workbench.session.folder
    interpreter.close()
    assert folder.exists()


# --- %undo ---


def test_undo_is_in_the_log_at_once(interpreter: Interpreter) -> None:
    interpreter.workbench.journal.sync(interpreter.messages)
    assert len(restored(interpreter)) == 3
    answer(interpreter, "%undo")
    assert restored(interpreter) == []


# --- %jupyter, %markdown ---


def test_jupyter_exports_a_notebook(interpreter: Interpreter) -> None:
    assert "chat.ipynb`" in answer(interpreter, "%jupyter chat.ipynb")
    read = nbformat.read("chat.ipynb", as_version=4)  # type: ignore[no-untyped-call]  # it has no types
    nbformat.validate(read)
    assert [cell.cell_type for cell in read.cells] == ["markdown", "code"]
    assert "hidden" not in Path("chat.ipynb").read_text()


def test_markdown_exports_a_page(interpreter: Interpreter) -> None:
    assert "chat.md`" in answer(interpreter, "%markdown chat.md")
    assert Path("chat.md").read_text() == (
        "> Say it: [secret TOKEN]\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n")


@pytest.mark.parametrize(("command", "suffix"), [("%jupyter", ".ipynb"), ("%markdown", ".md")])
def test_without_a_path_an_export_is_named_after_the_conversation_and_overwrites_nothing(
        interpreter: Interpreter, command: str, suffix: str) -> None:
    assert f"/conversation{suffix}`" in answer(interpreter, command)
    interpreter.workbench.journal.title = "Plot the rain!"
    assert f"/plot-the-rain{suffix}`" in answer(interpreter, command)
    assert f"/plot-the-rain-2{suffix}`" in answer(interpreter, command)
    assert len(list(Path().iterdir())) == 3


@pytest.mark.parametrize("command", ["%save_message", "%jupyter", "%markdown"])
def test_a_place_that_cannot_be_written_is_told(interpreter: Interpreter, command: str) -> None:
    Path("file").touch()
    with pytest.raises(TransferError) as caught:
        answer(interpreter, f"{command} file/x")
    assert caught.value.next_step


# --- %upload, %download ---


class Box:
    """Stands for a sandbox that only copies."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.uploaded: list[tuple[Path, str]] = []
        self.downloaded: list[tuple[str, Path]] = []

    def upload(self, source: Path, target: str) -> None:
        self.uploaded.append((source, target))

    def download(self, pattern: str, folder: Path) -> list[Path]:
        self.downloaded.append((pattern, folder))
        return [folder / "a.png"] if pattern == "*.png" else []

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def box(interpreter: Interpreter, tmp_path: Path) -> Box:
    (tmp_path / "work").mkdir()
    box = Box(tmp_path / "work")
    interpreter.workbench._sandbox = cast(Any, box)
    return box


@pytest.mark.parametrize(("typed", "source", "target"), [
    ("data.csv", "data.csv", "data.csv"), ("../x/data.csv", "../x/data.csv", "data.csv"),
    ("'a b.csv' in/c.csv", "a b.csv", "in/c.csv"), ("it's.csv", "it's.csv", "it's.csv")])
def test_upload_copies_a_file_in(interpreter: Interpreter, box: Box, typed: str, source: str, target: str) -> None:
    assert f"/workspace/{target}`" in answer(interpreter, f"%upload {typed}")
    assert box.uploaded == [(Path(source).absolute(), target)]
    assert log.read(interpreter.workbench.session.events).entries[-1]["target"] == target


def test_a_file_of_the_workspace_is_not_read_for_code_that_may_have_planted_a_link(interpreter: Interpreter, box: Box,
                                                                                   tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    (box.workspace / "data.csv").symlink_to(tmp_path / "secret")
    assert "in the workspace already" in answer(interpreter, f"%upload {box.workspace}/data.csv")
    assert box.uploaded == []


@pytest.mark.parametrize(("typed", "folder"), [("'*.png'", "."), ("*.png pictures", "pictures")])
def test_download_copies_files_out(interpreter: Interpreter, box: Box, typed: str, folder: str) -> None:
    assert "a.png`" in answer(interpreter, f"%download {typed}")
    assert box.downloaded == [("*.png", Path(folder).absolute())]


def test_download_goes_where_the_settings_say(interpreter: Interpreter, box: Box) -> None:
    interpreter.settings.out = "results"
    assert "No file" in answer(interpreter, "%download *.csv")
    assert box.downloaded == [("*.csv", Path("results").absolute())]


@pytest.mark.parametrize("typed", ["%upload", "%upload a b c", "%download", "%download a b c"])
def test_a_copy_without_names_says_how_it_is_written(interpreter: Interpreter, box: Box, typed: str) -> None:
    assert f"`{typed.split()[0]} " in answer(interpreter, typed)
    assert box.uploaded == []
    assert box.downloaded == []
