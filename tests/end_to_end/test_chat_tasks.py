"""sbi chat with a task: on the command line, or piped in; and chats that are told to end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.models.choose import PROVIDERS
from tests.support.sbi_process import SBI, SECONDS, Commands
from tests.support.terminal import Terminal

FOREVER = "import time\nprint('up', flush=True)\nwhile True:\n    time.sleep(0.05)\n"


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (provider.variable for provider in PROVIDERS):
        monkeypatch.delenv(name, raising=False)


def model(tmp_path: Path, *turns: dict[str, str]) -> str:
    """Return the name of a model that answers with ``turns``."""
    path = tmp_path / "script.yaml"
    path.write_text(yaml.safe_dump({"turns": list(turns)}))
    return f"scripted:{path}"


def data() -> Path:
    return Path(os.environ["SBI_DATA_DIR"])


def test_a_piped_prompt_runs_the_whole_demo(sbi: Commands) -> None:
    ended = sbi("chat", "--auto-run", stdin=b"analyse the demo data\n")
    out = ended.out.decode()
    assert (ended.code, ended.err) == (0, b"")
    assert "built-in demo" in out
    assert "1095 rows" in out
    assert "\x1b" not in out
    picture = Path(next(line for line in out.splitlines() if line.startswith("Picture: ")).removeprefix("Picture: "))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "analyse-the-demo-data" in str(picture)


def test_a_prompt_on_the_command_line_is_one_task(sbi: Commands, tmp_path: Path) -> None:
    name = model(tmp_path, {"text": "Adding.", "code": "print(40 + 2)"}, {"text": "Done."})
    ended = sbi("chat", "-m", name, "-y", "what", "is it")
    assert ended.code == 0
    assert ended.out.decode() == "Adding.\n\n```python\nprint(40 + 2)\n```\n42\n\nDone.\n"


def test_sbi_with_a_prompt_is_sbi_chat(sbi: Commands, tmp_path: Path) -> None:
    ended = sbi("what is it", "-m", model(tmp_path, {"text": "It is."}), "--auto_run")
    assert (ended.code, ended.out) == (0, b"It is.\n")


def test_where_nobody_can_be_asked_nothing_runs_and_that_is_said(sbi: Commands, tmp_path: Path) -> None:
    name = model(tmp_path, {"text": "Adding.", "code": "print(40 + 2)"}, {"text": "Pity."})
    ended = sbi("chat", "-m", name, stdin=b"add\n")
    assert ended.code == 0
    assert "--auto-run" in ended.said
    assert "42" not in ended.out.decode()
    assert "not run" in ended.out.decode()
    assert sbi.containers() == []


@pytest.mark.parametrize("stdin", [b"", b" \n\n"])
def test_an_empty_prompt_is_bad_usage(sbi: Commands, stdin: bytes) -> None:
    ended = sbi("chat", "-m", "demo", stdin=stdin)
    assert ended.code == 2
    assert "no prompt" in ended.said
    assert "Traceback" not in ended.said


def test_a_prompt_that_is_no_text_does_not_break_anything(sbi: Commands, tmp_path: Path) -> None:
    ended = sbi("chat", "-m", model(tmp_path, {"text": "Fine."}), "-y", stdin=b"\xff\xfe hello \xf0\x9f")
    assert (ended.code, ended.out) == (0, b"Fine.\n")


def test_a_terminal_that_knows_no_unicode_gets_question_marks(sbi: Commands, tmp_path: Path) -> None:
    ended = sbi("chat", "-m", model(tmp_path, {"text": "雨 €"}), "hi", env={"PYTHONIOENCODING": "ascii"})
    assert (ended.code, ended.out) == (0, b"? ?\n")


def test_a_command_may_be_the_task(sbi: Commands) -> None:
    ended = sbi("chat", "-m", "demo", "%% echo $((6 * 7)); id -un")
    assert ended.code == 0
    assert ended.out.decode() == "42\nsandbox\n"


@pytest.mark.parametrize(("words", "code", "said"), [
    (("-m", "scripted:/nonexistent.yaml", "-y", "hi"), 125, "/nonexistent.yaml"),
    (("--memory", "much", "hi"), 2, "--memory"),
    (("--temperature", "warm", "hi"), 2, "--temperature"),
    (("--max_tokens", "10", "--context_window", "10", "hi"), 2, "max_tokens"),
    (("-w", "/nonexistent", "-m", "demo", "-y", "hi"), 2, "/nonexistent"),
    (("--nonsense", "hi"), 2, "--nonsense"),
])
def test_bad_usage_is_told_with_what_and_which(sbi: Commands, words: tuple[str, ...], code: int, said: str) -> None:
    ended = sbi("chat", *words)
    assert ended.code == code
    assert said in ended.said
    assert "Traceback" not in ended.said
    assert not list(data().glob("sessions/*"))


def test_an_engine_that_is_away_is_told_and_leaves_nothing(sbi: Commands, tmp_path: Path) -> None:
    name = model(tmp_path, {"text": "Adding.", "code": "print(40 + 2)"}, {"text": "Pity."})
    ended = sbi("chat", "-m", name, "-y", "add", env={"DOCKER_HOST": "unix:///nonexistent.sock"})
    assert ended.code == 125
    assert "nonexistent.sock" in ended.said
    assert "Traceback" not in ended.said
    assert not list(data().glob("sessions/*"))


def test_artifacts_are_copied_out_after_the_task(sbi: Commands, tmp_path: Path) -> None:
    name = model(tmp_path, {"text": "Writing.", "code": "open('a.txt', 'w').write('made')"}, {"text": "Done."})
    ended = sbi("chat", "-m", name, "-y", "--artifact", "*.txt", "--out", str(tmp_path / "out"), "write")
    assert ended.code == 0, ended.said
    assert (tmp_path / "out" / "a.txt").read_text() == "made"


def test_secrets_and_keys_are_in_no_record(sbi: Commands, tmp_path: Path) -> None:
    code = "import os; print(len(os.environ['TOKEN']))"
    name = model(tmp_path, {"text": "Counting.", "code": code}, {"text": "Done."})
    ended = sbi("chat", "-m", name, "-y", "--secret", "TOKEN", "--api-key", "sk-hidden-1", "count",
                env={"TOKEN": "hidden-2-value"})
    assert ended.code == 0, ended.said
    assert "14" in ended.out.decode()
    session, = data().glob("sessions/*")
    for path in (path for path in session.rglob("*") if path.is_file()):
        assert b"hidden" not in path.read_bytes(), path


def test_the_session_records_what_it_is(sbi: Commands, tmp_path: Path) -> None:
    sbi("chat", "-m", model(tmp_path, {"text": "A.", "code": "print(1)"}, {"text": "B."}), "-y", "雨量を調べて")
    session, = data().glob("sessions/*")
    assert session.name.endswith("-雨量を調べて")
    assert yaml.safe_load((session / "session.yaml").read_text("utf-8"))["title"] == "雨量を調べて"


def interactive(sbi: Commands, name: str) -> Terminal:
    terminal = Terminal([SBI, "chat", "-y", "-m", name], cwd=str(sbi.folder), env={"TMPDIR": str(sbi.temporary)})
    sbi.pids.append(terminal.pid)
    terminal.wait_for("Ctrl-D leaves")
    terminal.send("go\n")
    terminal.wait_for(lambda: "\nup" in terminal.text, 60)
    return terminal


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_chat_told_to_end_removes_its_container(sbi: Commands, tmp_path: Path, number: int, code: int) -> None:
    with interactive(sbi, model(tmp_path, {"text": "Waiting.", "code": FOREVER})) as terminal:
        assert len(sbi.containers()) == 1
        os.kill(terminal.pid, number)
        assert terminal.wait_for_end(30) == code
        assert sbi.left_behind() == []


def test_a_window_that_is_closed_removes_the_container(sbi: Commands, tmp_path: Path) -> None:
    with interactive(sbi, model(tmp_path, {"text": "Waiting.", "code": FOREVER})) as terminal:
        assert len(sbi.containers()) == 1
        terminal.hang_up()
        deadline = time.monotonic() + SECONDS
        while sbi.containers():
            assert time.monotonic() < deadline
            time.sleep(0.1)
