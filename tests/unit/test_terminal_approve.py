"""The question before a run, in a pseudo-terminal and without one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.terminal import Terminal, python

ASK = '''
from sandbox_interpreter.messages import CodeBlock
from sandbox_interpreter.terminal.approve import question
answer = question(CodeBlock("python", "print('first')\\n"))
print("answer:", answer.approval, answer.rows)
'''


@pytest.mark.parametrize(("typed", "answer"), [
    ("y\n", "Approval(run=True, code=None) 1"), ("YES \n", "Approval(run=True, code=None) 1"),
    ("n\n", "Approval(run=False, code=None)"), ("no\n", "Approval(run=False, code=None)"),
    ("\x04", "Approval(run=False, code=None)"), ("\x03", "Approval(run=False, code=None)"),
])
def test_an_answer_is_understood(typed: str, answer: str) -> None:
    with Terminal(python(ASK)) as terminal:
        terminal.wait_for("Run this code? (y/n/e)")
        terminal.send(typed)
        terminal.wait_for(f"answer: {answer}")
        assert terminal.wait_for_end() == 0


def test_an_unknown_answer_is_asked_again_and_its_rows_are_counted() -> None:
    with Terminal(python(ASK), columns=30) as terminal:
        terminal.wait_for("Run this code? (y/n/e)")
        terminal.send("whatever you think is right\n")
        terminal.wait_for(lambda: terminal.text.count("Run this code?") == 2)
        terminal.send("\n")
        terminal.wait_for(lambda: terminal.text.count("Run this code?") == 3)
        terminal.send("y\n")
        assert terminal.wait_for_end() == 0
        row = next(number for number, text in enumerate(terminal.rows) if text.startswith("answer:"))
        assert terminal.text.endswith(f" {row}")


def test_code_is_edited_under_a_name_with_its_suffix(tmp_path: Path) -> None:
    editor = tmp_path / "my editor"
    editor.write_text("#!/bin/sh\necho \"$2\" > \"$1\"\nsed -i s/first/second/ \"$2\"\n")
    editor.chmod(0o755)
    with Terminal(python(ASK), columns=120, env={"VISUAL": f"'{editor}' {tmp_path}/seen"}) as terminal:
        terminal.wait_for("Run this code? (y/n/e)")
        terminal.send("e\n")
        terminal.wait_for("""answer: Approval(run=True, code="print('second')\\n")""")
        assert terminal.wait_for_end() == 0
    seen = Path((tmp_path / "seen").read_text().strip())
    assert seen.suffix == ".py"
    assert not seen.exists()


@pytest.mark.parametrize(("editor", "said"), [
    ("true", "Nothing was changed."), ("false", "false ended with exit code 1."),
    ("/nonexistent", "/nonexistent: No such file"), ("'unclosed", "'unclosed: No such file"),
])
def test_an_editor_that_does_not_help_leads_back_to_the_question(editor: str, said: str) -> None:
    with Terminal(python(ASK), env={"VISUAL": "", "EDITOR": editor}) as terminal:
        terminal.wait_for("Run this code? (y/n/e)")
        terminal.send("e\n")
        terminal.wait_for(said)
        terminal.wait_for(lambda: terminal.text.count("Run this code?") == 2)
        terminal.send("n\n")
        terminal.wait_for("run=False")


@pytest.mark.parametrize("stdin", ["y\n", ""])
def test_without_a_terminal_nothing_runs(stdin: str) -> None:
    done = subprocess.run(python(ASK), input=stdin, capture_output=True, text=True)
    assert done.stdout == "answer: Approval(run=False, code=None) 0\n"


def test_with_stdout_in_a_file_the_code_is_shown_where_the_question_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = f"{sys.executable} -c \"$SCRIPT\" > {out}"
    with Terminal(["/bin/sh", "-c", command], env={"SCRIPT": ASK}) as terminal:
        terminal.wait_for("Run this code? (y/n/e)")
        assert "print('first')" in terminal.text
        terminal.send("y\n")
        assert terminal.wait_for_end() == 0
    assert "run=True" in out.read_text()


def test_with_all_output_elsewhere_nothing_runs(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = f"{sys.executable} -c \"$SCRIPT\" > {out} 2>&1"
    with Terminal(["/bin/sh", "-c", command], env={"SCRIPT": ASK}) as terminal:
        assert terminal.wait_for_end() == 0
    assert out.read_text() == "answer: Approval(run=False, code=None) 0\n"
