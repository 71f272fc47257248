"""Fixtures of the tests that run whole programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.interpreter import Interpreter
from tests.support.sbi_process import Commands


@pytest.fixture
def sbi(tmp_path: Path, engine: DockerEngine) -> Iterator[Commands]:
    """Give sbi to run, in an empty folder; afterwards see that nothing of it is left."""
    for name in ("here", "temporary"):
        (tmp_path / name).mkdir()
    commands = Commands(tmp_path / "here", tmp_path / "temporary", engine)
    yield commands
    assert commands.left_behind() == []


@pytest.fixture(scope="module")
def shared_interpreter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    """Give one interpreter, and with it one container, to the tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SBI_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
        patch.setenv("SBI_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        with Interpreter() as interpreter:
            yield interpreter


@pytest.fixture
def interpreter(shared_interpreter: Interpreter) -> Interpreter:
    """Give the module's interpreter, which begins anew with default settings and runs code without asking."""
    shared_interpreter.reset()
    for name, value in asdict(Settings(auto_run=True)).items():
        setattr(shared_interpreter.settings, name, value)
    return shared_interpreter
