"""sbi run on bad usage and failing engines: what, which, next step, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.sbi_process import Commands

UNREACHABLE = "tcp://127.0.0.1:1"


def prepare(folder: Path) -> None:
    """Make what the command lines below name."""
    (folder / "a.py").write_text("print(1)")
    (folder / "a.xyz").write_text("print(1)")
    (folder / "binary.py").write_bytes(b"\x7fELF\xff\xfe")
    (folder / "bad.yaml").write_text("memroy: 1g\n")
    (folder / "vars").write_text("NOT A PAIR\n")


@pytest.mark.parametrize(("line", "said", "step"), [
    (["missing.py"], "There is no file 'missing.py'", "sbi run -c"),
    (["."], "The file '.' cannot be read: Is a directory", "sbi run"),
    (["a.xyz"], "The name 'a.xyz' does not tell its language", "--lang"),
    (["binary.py"], "binary.py is not UTF-8 text", "UTF-8"),
    (["-l", "pyton", "a.py"], "Unknown language 'pyton'", "Did you mean 'python'?"),
    (["-w", "nowhere", "a.py"], "The workspace 'nowhere' does not exist", "mkdir"),
    (["-w", "a.py", "a.py"], "The workspace 'a.py' is a file", "-w"),
    (["-w", "/", "a.py"], "'/' cannot be the workspace", "-w"),
    (["-w", "/var/run:ro", "a.py"], "'/var/run' cannot be the workspace", "-w"),
    (["--memory", "lots", "a.py"], "--memory: 'lots' is not a size", "--memory 512m"),
    (["--cpus", "0", "a.py"], "--cpus: 0.0 is too small", "--cpus 1.5"),
    (["--pids", "x", "a.py"], "--pids: 'x' is not a whole number", "--pids 128"),
    (["--timeout", "-1", "a.py"], "--timeout: -1.0 is too small", "--timeout 60"),
    (["--idle", "0", "a.py"], "--idle: 0.0 is too small", "--idle 600"),
    (["--network", "some", "a.py"], "--network: 'some' is not possible; what is: none, full, packages", "--network"),
    (["--env", "NOVALUE", "a.py"], "--env 'NOVALUE' is not of the form K=V", "--env"),
    (["--env-file", "nowhere", "a.py"], "--env-file nowhere cannot be read", "K=V"),
    (["--env_file", "vars", "a.py"], "--env-file vars, line 1 is not of the form K=V", "--env"),
    (["--secret", "SURELY_ABSENT", "a.py"], "--secret SURELY_ABSENT: there is no such variable", "export"),
    (["--artifact", "*", "a.py"], "--artifact says what to copy out, but not where to", "--out"),
    (["--artifact", "/etc/*", "--out", "o", "a.py"], "'/etc/*' does not name files in /workspace", "relative"),
    (["--out", "a.py", "a.py"], "--out 'a.py' is a file", "folder"),
    (["--config-file", "nowhere", "a.py"], "There is no config file 'nowhere'", "sbi config edit"),
    (["--config-file", "bad.yaml", "a.py"], "Unknown setting 'memroy'", "Did you mean 'memory'?"),
    (["--nope", "a.py"], "There is no flag --nope", ""),
    (["--memory"], "--memory needs a value", "--memory SIZE"),
    (["-c"], "-c needs a value", "-c CODE"),
])
def test_bad_usage_is_explained_with_exit_code_2(line: list[str], said: str, step: str, sbi: Commands) -> None:
    prepare(sbi.folder)
    before = sorted(sbi.folder.iterdir())
    ended = sbi("run", *line)
    assert (ended.code, ended.out) == (2, b"")
    what, *after = ended.said.splitlines()
    assert said in what
    assert step in "\n".join(after)
    assert "Traceback" not in ended.said
    assert sorted(sbi.folder.iterdir()) == before


def test_settings_in_the_environment_are_checked_too(sbi: Commands) -> None:
    ended = sbi("run", "-c", "1", env={"SBI_MEMORY": "lots"})
    assert (ended.code, ended.said.splitlines()[1]) == (2, "For example: SBI_MEMORY=512m")


@pytest.mark.parametrize(("words", "environment"), [
    (["--engine", UNREACHABLE], {}),
    ([], {"SBI_ENGINE": UNREACHABLE}),
    ([], {"DOCKER_HOST": UNREACHABLE}),
    (["--engine", "unix:///nonexistent/docker.sock"], {}),
])
def test_an_unreachable_engine_is_named_with_the_next_step(words: list[str], environment: dict[str, str],
                                                           sbi: Commands) -> None:
    ended = sbi("run", *words, "-c", "print(1)", env=environment)
    assert (ended.code, ended.out) == (125, b"")
    address = next(iter((*words[1:], *environment.values())))
    assert f"No container engine answers at {address}" in ended.said
    assert "sbi doctor" in ended.said
    assert "Traceback" not in ended.said


@pytest.mark.parametrize("address", ["nonsense", "ftp://x", "context:nowhere"])
def test_an_engine_that_is_none_is_told(address: str, sbi: Commands) -> None:
    ended = sbi("run", "--engine", address, "-c", "print(1)")
    assert ended.code in (2, 125)
    assert address.removeprefix("context:") in ended.said
    assert "Traceback" not in ended.said


def test_an_image_that_cannot_be_had_is_named(sbi: Commands) -> None:
    ended = sbi("run", "--image", "sbi-test-no-such-image:1", "-c", "print(1)")
    assert (ended.code, ended.out) == (125, b"")
    assert "Image 'sbi-test-no-such-image:1'" in ended.said
    assert "Traceback" not in ended.said


def test_an_unknown_runtime_is_the_engines_failure(sbi: Commands) -> None:
    ended = sbi("run", "--runtime", "sbi-test-no-such-runtime", "-c", "print(1)")
    assert ended.code == 125
    assert "sbi-test-no-such-runtime" in ended.said
    assert "Traceback" not in ended.said


@pytest.mark.parametrize("words", [["--debug", "--engine", UNREACHABLE], ["--engine", UNREACHABLE]])
def test_a_traceback_is_shown_with_debug_only(words: list[str], sbi: Commands) -> None:
    assert ("Traceback" in sbi("run", *words, "-c", "1").said) is ("--debug" in words)


def test_a_full_disk_under_stdout_is_told(sbi: Commands) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    options: dict[str, Any] = {"stdout": full}
    ended = sbi("run", "-c", "print(1)", **options)
    os.close(full)
    assert ended.code == 125
    assert "No space left on device" in ended.said
