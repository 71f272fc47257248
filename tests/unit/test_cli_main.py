from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox_interpreter.cli import main, report
from sandbox_interpreter.errors import ImageMissing, UsageError

SBI = str(Path(sys.executable).with_name("sbi"))


def sbi(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SBI, *arguments], capture_output=True, text=True, timeout=30, **settings)  # type: ignore[call-overload, no-any-return]  # keywords of run, passed on


def test_help_shows_every_command() -> None:
    result = sbi("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert all(f"  {name} " in result.stdout for name in main.COMMANDS)
    assert "sbi [PROMPT] is the same as sbi chat [PROMPT]" in result.stdout
    assert result.stdout == sbi("-h").stdout


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version_is_printed(flag: str) -> None:
    result = sbi(flag)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"sbi {main.version()}\n", "")


@pytest.mark.parametrize("name", ["run", "config"])
def test_every_command_has_help(name: str) -> None:
    result = sbi(name, "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: sbi {name} ")


@pytest.mark.parametrize(("line", "expected"), [
    ([], ("chat", [])),
    (["what is 2+2?"], ("chat", ["what is 2+2?"])),
    (["--model", "x", "run"], ("chat", ["--model", "x", "run"])),
    (["chat", "run"], ("chat", ["run"])),
    (["config", "path"], ("config", ["path"])),
    (["--", "run"], ("chat", ["--", "run"])),
])
def test_what_names_no_command_is_a_prompt(line: list[str], expected: tuple[str, list[str]],
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(main, "command", lambda name: name)
    monkeypatch.setattr(main, "invoke", lambda app, arguments, called: seen.append((app, list(arguments))))
    main.dispatch(line)
    assert seen == [expected]


def test_run_gets_the_rest_of_the_line_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    from sandbox_interpreter.cli import run

    seen: list[object] = []

    def main_of_run(arguments: list[str]) -> int:
        seen.append(arguments)
        return 7

    monkeypatch.setattr(run, "main", main_of_run)
    monkeypatch.setattr(main, "leave", seen.append)
    main.dispatch(["run", "--a_b", "x", "--c_d"])
    assert seen == [["--a_b", "x", "--c_d"], 7]


def test_leaving_at_once_loses_no_output() -> None:
    code = "import sys; from sandbox_interpreter.cli.main import leave; print('said', end=''); leave(9)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout, result.stderr) == (9, "said", "")


def test_both_spellings_of_a_flag_are_one() -> None:
    for spelling in ("--config-file", "--config_file"):
        result = sbi("config", "check", spelling, "nowhere.yaml")
        assert result.returncode == 2
        assert "There is no config file 'nowhere.yaml'" in result.stderr


def test_a_wrong_flag_is_a_usage_error_without_a_traceback() -> None:
    for line in (["config", "--nope"], ["config", "nope"], ["run", "--nope"]):
        result = sbi(*line)
        assert result.returncode == 2
        assert "nope" in result.stderr
        assert "Traceback" not in result.stderr


def raising(error: BaseException) -> Callable[[object], None]:
    def dispatch(_: object) -> None:
        raise error
    return dispatch


@pytest.mark.parametrize(("error", "code", "said"), [
    (UsageError("No such thing.", next_step="Make one."), 2, "No such thing.\nMake one.\n"),
    (ImageMissing("No image.", next_step="Build it."), 125, "No image.\nBuild it.\n"),
    (UsageError("A \x1b]52;c;x\x07 name."), 2, "A ␛]52;c;x␇ name.\n"),
    (KeyboardInterrupt(), 130, ""),
    (BrokenPipeError(), 141, ""),
])
def test_errors_are_what_which_next_step_and_a_code(error: BaseException, code: int, said: str,
                                                    monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(main, "dispatch", raising(error))
    monkeypatch.setattr(main, "_occupy_standard_descriptors", lambda: None)
    monkeypatch.setattr(report, "silence", lambda descriptor: None)
    monkeypatch.setattr(sys, "argv", ["sbi"])
    monkeypatch.delenv("SBI_DEBUG", raising=False)
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == code
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_of_ours_shows_a_traceback_only_with_debug(debug: bool, monkeypatch: pytest.MonkeyPatch,
                                                           capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(main, "dispatch", raising(ValueError("odd")))
    monkeypatch.setattr(main, "_occupy_standard_descriptors", lambda: None)
    monkeypatch.setattr(sys, "argv", ["sbi", *(["--debug"] if debug else [])])
    monkeypatch.delenv("SBI_DEBUG", raising=False)
    with pytest.raises(SystemExit) as caught:
        main.main()
    said = capsys.readouterr().err
    assert caught.value.code == 125
    assert "ValueError: odd" in said
    assert ("Traceback" in said) is debug
    assert ("--debug" in said) is not debug


def test_a_closed_stream_is_replaced_so_that_no_socket_takes_its_number() -> None:
    probe = """
import os, sys
from sandbox_interpreter.cli.main import _occupy_standard_descriptors
_occupy_standard_descriptors()
nowhere = [os.path.realpath(f"/proc/self/fd/{number}") == "/dev/null" for number in (0, 1, 2)]
sys.exit(sum(nowhere) * 10 + os.open("/", os.O_RDONLY))
"""
    result = subprocess.run(["bash", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, probe], timeout=30)
    assert result.returncode == 33  # three of them are /dev/null, and the next descriptor is 3


def test_sbi_works_with_all_its_streams_closed() -> None:
    for arguments, code in ((["--version"], 0), (["--help"], 0), (["config", "check"], 0), (["run", "absent.py"], 2)):
        result = subprocess.run(["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", SBI, *arguments], timeout=30)
        assert result.returncode == code, arguments


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["config", "show"]])
def test_a_full_disk_behind_stdout_is_told(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run([SBI, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)
    assert (result.returncode, result.stderr.decode()) == (
        125, "The output could not be written: No space left on device.\nMake room, or write elsewhere.\n")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["config", "show"]])
def test_a_reader_that_has_left_is_no_failure_of_ours(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([SBI, *arguments], stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, b"")


def test_a_note_is_for_people_only(capfd: pytest.CaptureFixture[str]) -> None:
    report.note("Only seen on a terminal.")
    report.say("Seen everywhere.")
    assert capfd.readouterr() == ("", "Seen everywhere.\n")


def test_a_closed_stderr_is_no_second_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run([SBI, "config", "check", "--config-file", "nowhere"], stderr=writer, timeout=30)
    os.close(writer)
    assert result.returncode == 2
