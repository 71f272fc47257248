from __future__ import annotations

from pathlib import PurePath

import pytest
from rich.syntax import Syntax

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.errors import UnknownLanguage
from sandbox_interpreter.languages import LANGUAGES, Language, find, of_file


@pytest.mark.parametrize(("written", "name"), [
    ("python", "python"), ("py", "python"), ("Python3", "python"), (" PYTHON ", "python"), ("ipython", "python"),
    ("shell", "shell"), ("sh", "shell"), ("bash", "shell"), ("zsh", "shell"), ("Console", "shell"),
    ("sql", "sql"), ("SQLite", "sql"), ("sqlite3", "sql"),
])
def test_a_language_answers_to_all_its_names(written: str, name: str) -> None:
    assert find(written).name == name


@pytest.mark.parametrize(("written", "hint"), [
    ("pyton", "'python'"), ("shel", "'shell'"), ("cobol", "Known languages"),
    ("css", "write it to a file in /workspace"),
])
def test_an_unknown_language_is_told_with_what_is_known(written: str, hint: str) -> None:
    with pytest.raises(UnknownLanguage, match=f"Unknown language '{written}'") as caught:
        find(written)
    assert hint in caught.value.next_step
    assert "python, shell" in caught.value.next_step


def test_a_very_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(UnknownLanguage) as caught:
        find("x" * 10_000)
    assert len(caught.value.report()) < 200


def test_no_two_languages_share_a_name_or_a_suffix() -> None:
    names = [name for language in LANGUAGES for name in (language.name, *language.aliases)]
    suffixes = [suffix for language in LANGUAGES for suffix in language.suffixes]
    assert len(names) == len(set(names))
    assert len(suffixes) == len(set(suffixes))


@pytest.mark.parametrize(("file", "name"), [
    ("a.py", "python"), ("dir.sh/a.PYW", "python"), ("a.sh", "shell"), ("a.tar.bash", "shell"), ("a.txt", None),
    ("py", None), (".py", None), ("", None),
])
def test_a_suffix_tells_the_language(file: str, name: str | None) -> None:
    language = of_file(PurePath(file))
    assert (language.name if language else None) == name


def test_the_highlighter_knows_shell_as_bash() -> None:
    assert [find(name).highlight for name in ("python", "shell")] == ["python", "bash"]


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each.kernel], ids=lambda language: language.name)
def test_every_kernel_file_is_there(language: Language) -> None:
    assert language.kernel_source()


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_the_highlighter_knows_every_language(language: Language) -> None:
    assert Syntax("", language.highlight).lexer


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_some_bundled_image_has_every_language(language: Language) -> None:
    assert any(language.name in image.languages for image in index.bundled().values())
