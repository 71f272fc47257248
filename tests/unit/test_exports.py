from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.errors import TransferError, UsageError
from sandbox_interpreter.exports import files, messages_file
from sandbox_interpreter.exports.blocks import Run, parts
from sandbox_interpreter.exports.markdown import markdown
from sandbox_interpreter.exports.notebook import notebook
from sandbox_interpreter.messages import Message
from tests.support.pictures import png_of

PNG = png_of([bytes(30)] * 10)
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'>\xc3\xa9</svg>"


def said(role: str, content: str) -> Message:
    return {"role": role, "type": "message", "content": content}  # type: ignore[typeddict-item]  # a role's name


def code(source: str, language: str = "python") -> Message:
    return {"role": "assistant", "type": "code", "format": language, "content": source}


def out(content: str) -> Message:
    return {"role": "computer", "type": "console", "format": "output", "content": content}


def picture(data: bytes, kind: str = "png") -> Message:
    return {"role": "computer", "type": "image", "format": f"base64.{kind}", "content": base64.b64encode(data).decode()}


TALK = [said("user", "Plot it,\nplease."), said("assistant", "**Now.**"), code("print(1)\n"), out("1\n"), picture(PNG),
        out("2\n"), code("echo hello", "shell"), out("hello\n"), said("assistant", "Done.")]


# --- parts ---


def test_outputs_belong_to_the_code_before_them() -> None:
    first, prose, run, shell, last = parts(TALK)
    assert (first, prose, last) == (TALK[0], TALK[1], TALK[8])
    assert isinstance(run, Run)
    assert isinstance(shell, Run)
    assert (run.code, run.outputs, run.happened) == (TALK[2], TALK[3:6], True)
    assert (shell.language, shell.outputs) == ("shell", [TALK[7]])


@pytest.mark.parametrize(("outputs", "happened"), [
    ([""], True), (["1"], True), (["[not run: the user declined it]\n"], False), ([], False)])
def test_it_is_known_whether_code_was_run(outputs: list[str], happened: bool) -> None:
    run, = parts([code("1"), *map(out, outputs)])
    assert isinstance(run, Run)
    assert run.happened is happened


# --- JSON ---


def test_messages_come_back_as_they_were() -> None:
    talk = [*TALK, said("user", "日本 \ud800 😀")]
    data = messages_file.dump(talk)
    assert messages_file.load(data, "x") == talk
    assert len(data.splitlines()) == len(talk) + 2


@given(st.lists(st.text()))
def test_any_text_comes_back(texts: list[str]) -> None:
    talk = [said("user", text) for text in texts]
    assert messages_file.load(messages_file.dump(talk), "x") == talk


@pytest.mark.parametrize(("data", "told"), [
    (b"", "no JSON"), (b"{\n  oops", "line 2, column 3"), (b"{}", "no list"), (b"[1]", "message 1: it is no message"),
    (b'[{"content": "a"}, {"role": "boss", "content": "b"}]', "message 2: A message cannot have the role"),
    (b'[{"role": "user"}]', "message 1"), (b'[{"content": 5}]', "message 1"), (b"\xff\xfe\x00", "UTF-8"),
    (b"[" * 100_000, "nested too deeply"), (b'[{"content": "a"}] trailing', "line 1"), (b"null", "no list"),
])
def test_what_is_no_conversation_is_told_with_its_place(data: bytes, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        messages_file.load(data, "chat.json")
    assert str(caught.value).startswith("chat.json")
    assert caught.value.next_step


def test_a_conversation_of_open_interpreter_is_taken() -> None:
    seed = [{"role": "user", "message": "Add."},
            {"role": "assistant", "message": "I add.", "language": "python", "code": "1+1", "output": "2\n"},
            {"role": "assistant", "message": "It is 2."}]
    assert messages_file.load(json.dumps(seed).encode(), "x") == [
        said("user", "Add."), said("assistant", "I add."), code("1+1"), out("2\n"), said("assistant", "It is 2.")]


# --- notebook ---


def cells(talk: list[Message]) -> list[Any]:
    read = nbformat.reads(notebook(talk).decode(), as_version=4)  # type: ignore[no-untyped-call]  # it has no types
    nbformat.validate(read)
    assert (read.nbformat, read.nbformat_minor) == (4, 5)
    found: list[Any] = read.cells
    return found


def test_what_ran_is_a_cell_with_its_outputs() -> None:
    asked, now, plot, shell, done = cells(TALK)
    assert (asked.cell_type, asked.source) == ("markdown", "> Plot it,\n> please.")
    assert (now.source, done.source) == ("**Now.**", "Done.")
    assert (plot.cell_type, plot.source, plot.execution_count) == ("code", "print(1)\n", 1)
    assert [output.output_type for output in plot.outputs] == ["stream", "display_data", "stream"]
    assert plot.outputs[0].text == "1\n"
    assert base64.b64decode(plot.outputs[1].data["image/png"]) == PNG
    assert shell.source == "%%bash --no-raise-error\necho hello"
    assert (shell.execution_count, shell.outputs[0].text) == (2, "hello\n")


@pytest.mark.parametrize("talk", [
    [code("rm -rf /", "shell"), out("[not run: the user declined it]\n")], [code("rm -rf /", "shell")],
    [code("x <- 1", "r"), out("1\n")], [code("1", "klingon"), out("[not run: Unknown language 'klingon'.]\n")],
])
def test_what_was_not_run_or_cannot_be_is_text(talk: list[Message]) -> None:
    assert {cell.cell_type for cell in cells(talk)} == {"markdown"}
    assert talk[0]["content"] in cells(talk)[0].source


def test_a_fence_in_code_does_not_end_its_own() -> None:
    shown, = cells([code("print('''```''')")])
    assert shown.source.startswith("````python\n")


@pytest.mark.parametrize(("printed", "fails"), [
    ("Traceback (most recent call last):\n  File …\nValueError: no\n", True), ("SyntaxError: invalid syntax\n", True),
    ("KeyboardInterrupt\n", True), ("1\n", False), ("Error bars drawn\nfine\n", False), ("", False)])
def test_a_cell_that_failed_may_fail_again(printed: str, fails: bool) -> None:
    cell, = cells([code("x"), out(printed)])
    assert (cell.metadata.get("tags") == ["raises-exception"]) is fails


def test_pictures_are_what_they_are() -> None:
    cell, = cells([code("x"), picture(SVG, "svg"), picture(b"nonsense"), picture(b"\xff\xd8\xff" + bytes(20), "jpeg")])
    assert [list(output.data) for output in cell.outputs] == [["image/svg+xml"], ["image/jpeg"]]
    assert cell.outputs[0].data["image/svg+xml"] == SVG.decode()


@given(st.lists(st.builds(lambda role, kind, text: {"role": role, "type": kind, "format": "python", "content": text},
                          st.sampled_from(["user", "assistant", "computer", "system"]),
                          st.sampled_from(["message", "code", "console", "image"]), st.text())))
def test_every_conversation_makes_a_valid_notebook(talk: list[Any]) -> None:
    cells(talk)


# --- Markdown ---


def test_markdown_reads_as_the_conversation_with_its_pictures_beside_it() -> None:
    made = markdown([*TALK, said("user", "<b>&</b>")], "my chat.md")
    assert list(made) == ["my chat-pictures/picture-1.png", "my chat.md"]
    assert made["my chat-pictures/picture-1.png"] == PNG
    assert made["my chat.md"].decode() == """\
> Plot it,
> please.

**Now.**

```python
print(1)
```

```text
1
```

![Picture 1](my%20chat-pictures/picture-1.png)

```text
2
```

```shell
echo hello
```

```text
hello
```

Done.

> <b>&</b>
"""


def test_a_picture_that_is_none_is_said() -> None:
    assert b"cannot be shown" in markdown([picture(b"nonsense")], "a.md")["a.md"]


# --- files ---


Plant = Callable[[Path, Path], None]


def linked(place: Path, outside: Path) -> None:
    place.symlink_to(outside / "secret.json")


def linked_folder(place: Path, outside: Path) -> None:
    place.parent.rmdir()
    place.parent.symlink_to(outside)


def test_files_are_written_whole_and_in_place_of_others(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("old")
    paths = files.write(tmp_path, {"a/1.png": b"1", "b.md": b"new"}, workspace=None)
    assert paths == [tmp_path / "a" / "1.png", tmp_path / "b.md"]
    assert [path.read_bytes() for path in paths] == [b"1", b"new"]
    assert not list(tmp_path.glob("**/.*"))


def test_a_link_that_code_planted_is_replaced_not_followed(tmp_path: Path) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    work.mkdir()
    outside.mkdir()
    (outside / "secret.json").write_text("untouched")
    linked(work / "messages.json", outside)
    files.write(work, {"messages.json": b"new"}, workspace=work)
    assert (outside / "secret.json").read_text() == "untouched"
    assert (work / "messages.json").read_bytes() == b"new"


def test_a_folder_that_code_planted_a_link_for_is_refused(tmp_path: Path) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    (work / "out").mkdir(parents=True)
    outside.mkdir()
    linked_folder(work / "out" / "x", outside)
    with pytest.raises(TransferError) as caught:
        files.write(work / "out", {"a.json": b"new"}, workspace=work)
    assert caught.value.next_step
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("plant", [linked, linked_folder])
def test_nothing_is_read_through_a_link_that_code_planted(tmp_path: Path, plant: Plant) -> None:
    work, outside = tmp_path / "work", tmp_path / "outside"
    (work / "in").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.json").write_text("[]")
    plant(work / "in" / "secret.json", outside)
    with pytest.raises(TransferError, match="cannot be read"):
        files.open_to_read(work / "in" / "secret.json", workspace=work)
    with files.open_to_read(work / "in" / "secret.json", workspace=None) as file:  # where no code could plant it
        assert file.read() == b"[]"


def test_files_in_and_outside_the_workspace_are_read(tmp_path: Path) -> None:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    for path in (tmp_path / "a", tmp_path / "work" / "deep" / "b"):
        path.write_text(path.name)
        with files.open_to_read(path, workspace=tmp_path / "work") as file:
            assert file.read() == path.name.encode()


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing", ".", "pipe/x", "\0"):
        with pytest.raises(TransferError) as caught:
            files.open_to_read(tmp_path / name, workspace=None)
        assert caught.value.next_step


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 3)
    (tmp_path / "a").write_bytes(b"four")
    with pytest.raises(TransferError, match="too large"):
        files.open_to_read(tmp_path / "a", workspace=None)
