from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.environment import secrets, variables
from sandbox_interpreter.errors import UsageError


def test_variables_of_the_file_and_of_the_setting_are_merged(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=file\n  B= spaced \nC==x=\n")
    assert variables(Settings(env=("A=flag", "D="), env_file=str(file))) == {
        "A": "flag", "B": " spaced ", "C": "=x=", "D": ""}


@pytest.mark.parametrize("text", ["NOVALUE", "=x", "1A=x", "A B=x", "A-B=x", "Ä=x"])
def test_a_malformed_variable_is_named_without_its_value(text: str) -> None:
    with pytest.raises(UsageError, match="is not of the form K=V") as caught:
        variables(Settings(env=(text,)))
    assert "=x" not in str(caught.value)


def test_a_malformed_line_of_an_env_file_is_told_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=1\nsecret stuff\n")
    with pytest.raises(UsageError, match="line 2") as caught:
        variables(Settings(env_file=str(file)))
    assert "stuff" not in caught.value.report()


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, lambda path: path.write_bytes(b"A=\xff")])
def test_an_env_file_that_cannot_be_read_is_named(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "env")
    with pytest.raises(UsageError, match=r"--env-file .*env cannot be read"):
        variables(Settings(env_file=str(tmp_path / "env")))


def test_a_secret_comes_from_the_environment_and_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", "s3cret=")
    monkeypatch.delenv("NOT_THERE", raising=False)
    assert secrets(Settings(secret=("TOKEN_OF_TEST",))) == {"TOKEN_OF_TEST": "s3cret="}
    with pytest.raises(UsageError, match="no such variable"):
        secrets(Settings(secret=("NOT_THERE",)))


def test_a_value_typed_where_a_secrets_name_belongs_is_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        secrets(Settings(secret=("TOKEN=hunter2",)))
    assert "hunter2" not in caught.value.report()
