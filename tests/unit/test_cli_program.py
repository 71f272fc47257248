from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox_interpreter.cli.program import Program, choose
from sandbox_interpreter.errors import UnknownLanguage, UsageError


def stdin_holds(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    monkeypatch.setattr(os, "isatty", lambda _: False)


def test_code_is_python_unless_the_language_is_said_and_all_words_are_arguments() -> None:
    assert choose(["a", "--b"], code="1", language=None, workspace=None) == Program("python", "1", "main", ("a", "--b"))
    assert choose([], code="ls", language="bash", workspace=None) == Program("shell", "ls", "main", ())


def test_code_may_be_empty() -> None:
    assert choose([], code="", language=None, workspace=None) == Program("python", "", "main", ())


@pytest.mark.parametrize(("words", "arguments"), [([], ()), (["-"], ()), (["-", "-x", "y"], ("-x", "y"))])
def test_stdin_is_the_source_and_is_used_up(words: list[str], arguments: tuple[str, ...],
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    stdin_holds("print('ü')\n".encode(), monkeypatch)
    assert choose(words, code=None, language=None, workspace=None) == Program(
        "python", "print('ü')\n", "main", arguments, uses_stdin=True)


def test_without_anything_to_run_a_terminal_gets_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda _: True)
    with pytest.raises(UsageError, match="nothing to run") as caught:
        choose([], code=None, language=None, workspace=None)
    assert "sbi run -c" in caught.value.next_step


@pytest.mark.parametrize(("name", "language", "expected"), [
    ("a.py", None, "python"), ("a.PY", None, "python"), ("a.sh", None, "shell"), ("a.bash", None, "shell"),
    ("a.txt", "py", "python"), ("a.py", "sh", "shell"), ("noname", "Python3", "python"),
])
def test_the_language_comes_from_the_flag_or_else_the_suffix(name: str, language: str | None, expected: str,
                                                             tmp_path: Path) -> None:
    (tmp_path / name).write_text("x")
    found = choose([str(tmp_path / name), "arg"], code=None, language=language, workspace=None)
    assert found == Program(expected, "x", name, ("arg",))


def test_a_file_in_the_workspace_runs_under_its_path_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "work" / "sub" / "a.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("x")
    outside = tmp_path / "b.py"
    outside.write_text("y")
    (tmp_path / "work" / "link.py").symlink_to(outside)
    (tmp_path / "way_in").symlink_to(tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")

    def name_of(path: str) -> str:
        return choose([path], code=None, language=None, workspace=tmp_path / "work").name

    assert name_of("sub/a.py") == "/workspace/sub/a.py"
    assert name_of("../way_in/sub/a.py") == "/workspace/sub/a.py"
    assert name_of("../b.py") == "b.py"
    assert name_of("link.py") == "link.py"  # what it leads to is not in the container


def test_a_byte_order_mark_is_no_part_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"\xef\xbb\xbfprint(1)")
    assert choose([str(tmp_path / "a.py")], code=None, language=None, workspace=None).source == "print(1)"


@pytest.mark.parametrize(("name", "content", "said"), [
    ("missing.py", None, "There is no file"),
    ("a.xyz", b"x", "does not tell its language"),
    ("noname", b"x", "does not tell its language"),
    ("a.py", b"\xff\xfe", "is not UTF-8 text"),
    (".", None, "cannot be read: Is a directory"),
    ("a\0b", None, "cannot be read"),
    ("x" * 300, None, "cannot be read: File name too long"),
])
def test_a_file_that_cannot_run_is_named(name: str, content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=said):
        choose([f"{tmp_path}/{name}"], code=None, language=None, workspace=None)


def test_an_unknown_language_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownLanguage) as caught:
        choose([], code="1", language="pyton", workspace=None)
    assert "Did you mean 'python'?" in caught.value.next_step
