"""The exports of real chats: a notebook that opens and runs again, a page, a conversation for another day."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from sandbox_interpreter import magics
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import fold

TURNS = [
    {"text": "I count.", "code": "total = sum(range(10))\nprint(total)"},
    {"text": "A value.", "code": "total * 2"},
    {"text": "A fault.", "code": "1 / 0"},
    {"text": "The shell.", "language": "shell", "code": "echo $((6 * 7)); false"},
    {"text": "Still there?", "code": "assert total == 45\nprint('still', total)"},
    {"text": "A chart.", "code": "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"},
    {"text": "Done."},
]


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    """Give an interpreter whose chat was led, and whose sandbox is closed."""
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "script.yaml"
    script.write_text(yaml.safe_dump({"turns": TURNS}))
    with Interpreter(model=f"scripted:{script}", auto_run=True) as interpreter:
        interpreter.chat("Count, please.", display=False)
    return interpreter


def command(interpreter: Interpreter, text: str) -> str:
    message, = fold(magics.run(interpreter, text))
    return message["content"]


def test_the_notebook_opens_and_runs_again_with_nbconvert(interpreter: Interpreter, tmp_path: Path) -> None:
    command(interpreter, "%jupyter chat.ipynb")
    before = nbformat.read("chat.ipynb", as_version=4)  # type: ignore[no-untyped-call]  # it has no types
    nbformat.validate(before)
    assert any("image/png" in output.get("data", {}) for cell in before.cells for output in cell.get("outputs", ()))
    # The host that runs the tests has no matplotlib: a picture is shown again, not drawn again.
    before.cells = [cell for cell in before.cells if "matplotlib" not in cell.source]
    nbformat.write(before, "chat.ipynb")  # type: ignore[no-untyped-call]  # likewise
    again = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "again.ipynb", "chat.ipynb"],
        capture_output=True, text=True, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    after = nbformat.read("again.ipynb", as_version=4)  # type: ignore[no-untyped-call]  # likewise
    ran = [cell for cell in after.cells if cell.cell_type == "code"]
    assert [cell.outputs[0].get("text") for cell in ran] == ["45\n", None, None, "42\n", "still 45\n"]
    assert ran[1].outputs[0].data["text/plain"] == "90"
    assert ran[2].outputs[0].ename == "ZeroDivisionError"


def test_the_notebook_becomes_a_page_with_its_picture(interpreter: Interpreter, tmp_path: Path) -> None:
    command(interpreter, "%jupyter chat.ipynb")
    made = subprocess.run([sys.executable, "-m", "nbconvert", "--to", "html", "chat.ipynb"], capture_output=True,
                          text=True, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "chat.html").read_text("utf-8")
    assert "data:image/png;base64," in page
    assert "Count, please." in page


def test_the_markdown_has_its_picture_beside_it(interpreter: Interpreter, tmp_path: Path) -> None:
    command(interpreter, "%markdown chat.md")
    assert "![Picture 1](chat-pictures/picture-1.png)" in (tmp_path / "chat.md").read_text("utf-8")
    assert (tmp_path / "chat-pictures" / "picture-1.png").read_bytes().startswith(b"\x89PNG")


def test_a_conversation_that_was_saved_goes_on_another_day(interpreter: Interpreter, tmp_path: Path) -> None:
    command(interpreter, "%save_message")
    assert json.loads((tmp_path / "messages.json").read_text("utf-8")) == interpreter.messages
    script = tmp_path / "later.yaml"
    script.write_text(yaml.safe_dump({"turns": [{"text": "You counted."}], "repeat": True}))
    with Interpreter(model=f"scripted:{script}", auto_run=True) as later:
        command(later, "%load_message")
        assert later.messages == interpreter.messages
        assert later.chat("What was it?", display=False)[-1]["content"] == "You counted."


def test_files_are_copied_in_and_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "雨 data.csv").write_text("1,2\n")
    with Interpreter(model="demo") as interpreter:
        assert "/workspace/in/rain.csv" in command(interpreter, "%upload '雨 data.csv' in/rain.csv")
        assert "1,2\n" in command(interpreter, "%% cat in/rain.csv; echo out > out.txt")
        assert str(tmp_path / "results" / "out.txt") in command(interpreter, "%download '*.txt' results")
    assert (tmp_path / "results" / "out.txt").read_text() == "out\n"
