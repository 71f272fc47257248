"""What a sandbox cannot do is refused with what helps, and leaves nothing behind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import (
    EngineUnreachable,
    ImageMissing,
    UnknownLanguage,
    UsageError,
    WorkspaceError,
)
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run


def test_a_missing_workspace_is_refused_before_anything_starts(engine: DockerEngine, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="does not exist"):
        Sandbox(engine=engine, workspace=tmp_path / "nowhere")


@pytest.mark.parametrize(("language", "code", "said"), [
    ("python", None, "no text, but of the type NoneType"), ("python", b"1", "no text, but of the type bytes"),
    (None, "1", "Unknown language 'None'")])
def test_what_is_no_code_is_refused_and_costs_nothing(shared_box: Sandbox, language: Any, code: Any, said: str) -> None:
    run(shared_box, "python", "kept = 1")
    with pytest.raises(UsageError, match=said):
        shared_box.execute(language, code)
    assert run(shared_box, "python", "kept").values == ["1"]


def test_an_image_without_a_name_is_refused() -> None:
    with pytest.raises(UsageError, match="no name") as caught:
        Sandbox("")
    assert "sbi images list" in caught.value.next_step


def test_an_unknown_language_names_the_known_ones(shared_box: Sandbox) -> None:
    with pytest.raises(UnknownLanguage) as caught:
        shared_box.execute("pyton", "1")
    assert "'python'" in caught.value.next_step


def test_an_image_that_is_not_there_leaves_nothing_behind(
        engine: DockerEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Sandbox("no-such-image:1", engine=engine, notify=lambda _: None) as box, \
            pytest.raises(ImageMissing, match="no-such-image"):
        box.execute("python", "1")
    assert [*tmp_path.iterdir()] == []
    assert engine.list({f"{LABEL}.session": box.session}) == []


def test_an_engine_that_does_not_answer_is_named() -> None:
    with Sandbox(engine="tcp://127.0.0.1:1") as box, pytest.raises(EngineUnreachable, match=r"127\.0\.0\.1:1"):
        box.execute("python", "1")
