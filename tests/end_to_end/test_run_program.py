"""sbi run, to the letter of its contract: what goes in, what comes out, and the exit code."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support.sbi_process import SECONDS, Commands

EVERY_BYTE = """
import sys
sys.stdout.buffer.write(bytes(range(256)))
sys.stderr.buffer.write(bytes(range(255, -1, -1)))
"""


def test_code_runs_and_says_nothing_but_its_own(sbi: Commands) -> None:
    ended = sbi("run", "-c", "print(6 * 7)")
    assert (ended.code, ended.out, ended.err) == (0, b"42\n", b"")


def test_stdout_and_stderr_are_byte_for_byte_and_apart(sbi: Commands) -> None:
    ended = sbi("run", "-c", EVERY_BYTE)
    assert (ended.code, ended.out, ended.err) == (0, bytes(range(256)), bytes(range(255, -1, -1)))


def test_a_binary_of_100_mb_arrives_intact(sbi: Commands) -> None:
    code = """
import hashlib, sys
digest = hashlib.sha256()
for number in range(100):
    block = hashlib.sha256(b"%d" % number).digest() * 32768
    digest.update(block)
    sys.stdout.buffer.write(block)
sys.stderr.write(digest.hexdigest())
"""
    ended = sbi("run", "-c", code)
    assert ended.code == 0
    assert len(ended.out) == 100 * 1024 * 1024
    assert hashlib.sha256(ended.out).hexdigest() == ended.err.decode()


@pytest.mark.parametrize(("code", "expected"), [
    ("pass", 0), ("raise SystemExit(7)", 7), ("raise SystemExit('sorry')", 1), ("1/0", 1),
    ("import os; os._exit(255)", 255),
    ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143),
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
    ("this is no python", 1),
])
def test_the_exit_code_is_the_programs_own(code: str, expected: int, sbi: Commands) -> None:
    assert sbi("run", "-c", code).code == expected


def test_a_shell_script_has_its_own_exit_code_too(sbi: Commands) -> None:
    ended = sbi("run", "--lang", "shell", "-c", 'echo "$1"; echo "$2" >&2; exit 3', "a b", "--c")
    assert (ended.code, ended.out, ended.err) == (3, b"a b\n", b"--c\n")


def test_the_time_limit_ends_with_124_and_keeps_what_was_said(sbi: Commands) -> None:
    ended = sbi("run", "--timeout", "0.5", "-c", "import time; print('before', flush=True); time.sleep(60)")
    assert (ended.code, ended.out) == (124, b"before\n")


def test_the_memory_limit_ends_with_137(sbi: Commands) -> None:
    ended = sbi("run", "--memory", "64m", "-l", "shell", "-c", "echo before; head -c 300m /dev/zero | tail")
    assert (ended.code, ended.out) == (137, b"before\n")


def test_arguments_reach_the_program_even_those_that_look_like_options(sbi: Commands) -> None:
    (sbi.folder / "args.py").write_text("import sys; print(sys.argv[1:])")
    words = ["--json", "-c", "x", "--", "--memory=1", "", "a b", "*", "ü"]
    assert sbi("run", "args.py", *words).out.decode() == f"{words}\n"
    assert sbi("run", "-c", "import sys; print(sys.argv[1:])", "--", *words).out.decode() == f"{words}\n"


def test_a_files_language_is_told_by_its_suffix_or_the_flag(sbi: Commands) -> None:
    (sbi.folder / "a.sh").write_text('echo "shell $BASH_VERSION" | cut -c1-6')
    (sbi.folder / "noname").write_text("print('python')")
    assert sbi("run", "a.sh").out == b"shell \n"
    assert sbi("run", "-l", "py", "noname").out == b"python\n"


def test_source_from_stdin_leaves_the_program_an_empty_stdin(sbi: Commands) -> None:
    source = b"import sys; print(sys.argv[1:], repr(sys.stdin.read()))"
    assert sbi("run", "-", "x", stdin=source).out == b"['x'] ''\n"
    assert sbi("run", stdin=source).out == b"[] ''\n"


def test_stdin_is_passed_through_byte_for_byte(sbi: Commands) -> None:
    data = os.urandom(3_000_000)
    ended = sbi("run", "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])", stdin=data)
    assert (ended.code, ended.out) == (0, data[::-1])


def test_stdin_arrives_line_by_line_while_the_program_runs(sbi: Commands) -> None:
    code = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)"
    process = sbi.start("run", "-c", code)
    assert process.stdin is not None
    assert process.stdout is not None
    for word in (b"one", b"two"):
        process.stdin.write(word + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == word.upper() + b"\n"
    process.stdin.close()
    assert process.wait(SECONDS) == 0
    for pipe in (process.stdout, process.stderr):
        assert pipe is not None
        pipe.close()


def test_a_program_that_does_not_read_does_not_hold_up_the_run(sbi: Commands) -> None:
    ended = sbi("run", "-c", "print('done')", stdin=bytes(5_000_000))
    assert (ended.code, ended.out) == (0, b"done\n")


def test_a_program_sees_no_stdin_where_ours_is_closed(sbi: Commands) -> None:
    process = sbi.start("run", "-c", "import sys; print(repr(sys.stdin.read()))", stdin=subprocess.DEVNULL)
    out, _ = process.communicate(timeout=SECONDS)
    assert out == b"''\n"


def test_a_slow_reader_gets_everything(sbi: Commands) -> None:
    process = sbi.start("run", "-c", "import sys; sys.stdout.buffer.write(b'x' * 20_000_000)")
    assert process.stdout is not None
    received = 0
    while piece := process.stdout.read(1_000_000):
        received += len(piece)
        threading.Event().wait(0.02)
    process.communicate(timeout=SECONDS)
    assert (received, process.returncode) == (20_000_000, 0)


def test_a_file_in_the_workspace_runs_there_with_its_neighbours(sbi: Commands) -> None:
    (sbi.folder / "sub").mkdir()
    (sbi.folder / "sub" / "neighbour.py").write_text("VALUE = 'imported'")
    (sbi.folder / "sub" / "main.py").write_text("import os, neighbour; print(__file__, os.getcwd(), neighbour.VALUE)")
    ended = sbi("run", "-w", ".", "sub/main.py")
    assert ended.out == b"/workspace/sub/main.py /workspace imported\n"


def test_the_workspace_is_shared_and_read_only_on_request(sbi: Commands) -> None:
    sbi.folder.chmod(0o777)
    code = "open('made', 'w').write('x')"
    assert sbi("run", "-w", ".:ro", "-c", code).code == 1
    assert not (sbi.folder / "made").exists()
    assert sbi("run", "-w", ".", "-c", code).code == 0
    assert (sbi.folder / "made").read_text() == "x"


def test_the_environment_comes_from_flags_and_file(sbi: Commands) -> None:
    (sbi.folder / "vars").write_text("A=file\nB=two words\n")
    code = "import os; print(*(os.environ.get(name) for name in ('A', 'B', 'C', 'HOST_ONLY')), sep='|')"
    flags = ["--env-file", "vars", "--env", "A=flag", "--env", "C=$x\n'\""]
    ended = sbi("run", *flags, "-c", code, env={"HOST_ONLY": "1"})
    assert ended.out == b"flag|two words|$x\n'\"|None\n"


def test_a_secret_reaches_the_code_and_neither_the_engine_nor_an_argv(sbi: Commands) -> None:
    secret = "s3cret-" + os.urandom(8).hex()
    code = "import os, sys; sys.stdin.read(); print(os.environ['API_TOKEN'])"
    process = sbi.start("run", "--secret", "API_TOKEN", "-c", "print('up', flush=True)\n" + code,
                        env={"API_TOKEN": secret})
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    (name,) = sbi.containers()
    seen = subprocess.run(["docker", "inspect", name], capture_output=True, text=True, check=True).stdout
    commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    out, _ = process.communicate(timeout=SECONDS)
    assert secret not in seen
    assert not any(secret.encode() in line for line in commands)
    assert out.decode() == secret + "\n"
