"""sbi run: Ctrl-C, the end of its readers, signals, terminals, and a client that is killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import Any

import pexpect
import pytest

from tests.support.sbi_process import SBI, SECONDS, Commands

FOREVER = "import time; print('up', flush=True)\nwhile True: time.sleep(0.05)"


def up(sbi: Commands, code: str, *flags: str, **options: Any) -> subprocess.Popen[bytes]:
    """Return a run of ``code`` that has printed ``up``."""
    process = sbi.start("run", *flags, "-c", code, **options)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def test_ctrl_c_interrupts_the_program(sbi: Commands) -> None:
    process = up(sbi, FOREVER)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert err.endswith(b"KeyboardInterrupt\n")


def test_a_program_may_handle_ctrl_c_and_go_on_to_its_end(sbi: Commands) -> None:
    process = up(sbi, FOREVER.replace("while True", "try:\n  while True").replace(": time", ":\n    time")
                 + "\nexcept KeyboardInterrupt: print('tidied up'); raise SystemExit(5)")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (5, b"tidied up\n", b"")


def test_a_second_ctrl_c_within_a_second_ends_a_program_that_ignores_the_first(sbi: Commands) -> None:
    process = up(sbi, "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + FOREVER)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert time.monotonic() - pressed < 2  # and not after the grace of the ladder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_being_told_to_end_removes_the_container(number: int, code: int, sbi: Commands) -> None:
    process = up(sbi, FOREVER)
    assert len(sbi.containers()) == 1
    process.send_signal(number)
    process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert sbi.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_moment_of_the_start_leaves_nothing(number: int, sbi: Commands) -> None:
    for step in range(12):
        process = sbi.start("run", "-c", FOREVER)
        time.sleep(0.03 * step)
        process.send_signal(number)
        _, err = process.communicate(timeout=SECONDS)
        assert process.returncode != 0
        # Before our main begins it is Python that is starting, and says so in its own way.
        assert b"sandbox_interpreter" not in err or b", in main\n" not in err
    assert sbi.left_behind() == []


def test_nohup_keeps_a_run_through_a_hangup_but_ctrl_c_still_reaches_the_program(sbi: Commands) -> None:
    process = up(sbi, FOREVER, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_reader_that_leaves_ends_the_run_quietly(flags: list[str], sbi: Commands) -> None:
    process = sbi.start("run", *flags, "-c", "while True: print('y' * 1000)")
    assert process.stdout is not None
    process.stdout.read(5000)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(SECONDS) == 141  # 128 + SIGPIPE, as a shell reports it
    process.stderr.close()
    assert process.stdin is not None
    process.stdin.close()


def test_a_client_that_is_killed_leaves_no_container_beyond_the_idle_time(sbi: Commands) -> None:
    process = up(sbi, FOREVER, "--idle", "3")
    assert len(sbi.containers()) == 1
    process.kill()
    process.communicate(timeout=SECONDS)
    deadline = time.monotonic() + 15
    while sbi.containers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sbi.containers() == []
    for folder in sbi.temporary.iterdir():  # of a killed process nothing else can be asked
        shutil.rmtree(folder)


def test_a_run_that_lasts_removes_what_a_killed_one_left(sbi: Commands) -> None:
    killed = up(sbi, FOREVER)
    killed.kill()
    killed.communicate(timeout=SECONDS)
    assert len(sbi.left_behind()) == 2  # a container and a folder
    assert sbi("run", "-c", "import time; time.sleep(5)").code == 0
    assert sbi.left_behind() == []


def terminal(sbi: Commands, *words: str) -> pexpect.spawn[str]:
    """Return ``sbi WORDS`` on a terminal of its own."""
    child = pexpect.spawn(SBI, list(words), cwd=str(sbi.folder), timeout=SECONDS, encoding="utf-8",
                          env=os.environ | {"TMPDIR": str(sbi.temporary)})
    assert child.pid is not None
    sbi.pids.append(child.pid)
    return child


def ended(child: pexpect.spawn[str]) -> tuple[str, int | None]:
    """Return what was still printed and the exit code."""
    child.expect(pexpect.EOF)
    child.close()
    return str(child.before), child.exitstatus


def test_a_terminal_is_shown_escape_sequences_not_given_them(sbi: Commands) -> None:
    code = r"""print('\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07 \x9b2J \x1b[2J end')"""
    assert ended(terminal(sbi, "run", "-c", code)) == (
        "\x1b[31mred\x1b[0m ␛]52;c;aGk=␇ ⟨U+009B⟩2J ␛[2J end\r\n", 0)
    assert ended(terminal(sbi, "run", "--plain", "-c", code)) == ("red ␛]52;c;aGk=␇ ⟨U+009B⟩2J ␛[2J end\r\n", 0)


def test_ctrl_c_typed_on_a_terminal_interrupts_the_program(sbi: Commands) -> None:
    child = terminal(sbi, "run", "-c", FOREVER)
    child.expect("up")
    child.sendintr()
    said, code = ended(child)
    assert "KeyboardInterrupt" in said
    assert code == 130


def test_what_is_typed_reaches_the_program_and_ctrl_d_ends_it(sbi: Commands) -> None:
    child = terminal(sbi, "run", "-c", "import sys; print('up', flush=True); print(sys.stdin.read().upper())")
    child.expect("up")
    child.sendline("typed")
    child.sendeof()
    child.expect("TYPED")
    assert ended(child)[1] == 0


def test_a_person_is_told_of_pictures_of_patterns_and_of_a_folder_of_roots(sbi: Commands) -> None:
    child = terminal(sbi, "run", "-c", "import matplotlib.pyplot as plt; plt.plot([1]); plt.show()")
    assert "--out DIR" in ended(child)[0]
    child = terminal(sbi, "run", "--artifact", "*.none", "--out", "o", "-c", "pass")
    assert "No file in /workspace matches '*.none'" in ended(child)[0]
    if os.geteuid() == 0:  # only root can make a folder of root's
        child = terminal(sbi, "run", "-w", ".", "-c", "pass")
        assert "belongs to root" in ended(child)[0]


def test_a_run_in_the_background_of_a_terminal_is_not_stopped_by_reading(sbi: Commands) -> None:
    """With job control, a job in the background that reads its terminal is met with SIGTTIN."""
    child = pexpect.spawn("bash", ["-c", f"set -m; '{SBI}' run -c 'print(6 * 7)' & wait $!; echo code $?"],
                          timeout=SECONDS, encoding="utf-8", env=os.environ | {"TMPDIR": str(sbi.temporary)})
    said, _ = ended(child)
    assert said.startswith("42\r\n")
    assert said.endswith("code 0\r\n")
    assert "Stopped" not in said
