"""Files that the user names: read no further than such a file can reach, and refused with the reason."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox_interpreter import environment, reading
from sandbox_interpreter.catalogue import certificates
from sandbox_interpreter.cli import program
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.models import scripted
from sandbox_interpreter.servers import tokens

READERS: dict[str, Callable[[Path], object]] = {
    "env_file": lambda path: environment.variables(Settings(env_file=str(path))),
    "token_file": lambda path: tokens.of(Settings(token_file=str(path))),
    "program": lambda path: program.choose([str(path)], code=None, language="python", workspace=None),
    "script": scripted.load,
    "ca_bundle": lambda path: certificates.read(path, "ca_bundle"),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_file_without_end_is_refused_with_its_name(reader: str) -> None:
    with pytest.raises(SandboxInterpreterError, match=r"/dev/zero.* cannot be read: it has more than") as caught:
        READERS[reader](Path("/dev/zero"))
    assert caught.value.next_step


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_and_a_missing_file_are_refused_with_their_name(reader: str, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SandboxInterpreterError, match=str(path)) as caught:
            READERS[reader](path)
        assert caught.value.next_step


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("A=1\nB=2\n",))
    writer.start()
    assert environment.variables(Settings(env_file=str(tmp_path / "pipe"))) == {"A": "1", "B": "2"}
    writer.join()


def test_what_is_as_long_as_it_may_be_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    assert reading.read(tmp_path / "file", 100) == b"x" * 100
    with pytest.raises(ValueError, match="more than"):
        reading.read(tmp_path / "file", 99)
