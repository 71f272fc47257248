"""The Python API with real containers: the demo, sessions on disk, clean-up, and the engine gone."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter import Sandbox
from sandbox_interpreter.approval import Approval
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineUnreachable, WorkspaceError
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import fold


def script(folder: Path, *turns: dict[str, str]) -> str:
    path = folder / "script.yaml"
    path.write_text(yaml.safe_dump({"turns": list(turns)}))
    return f"scripted:{path}"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("SBI_DATA_DIR", str(folder))
    return folder


def test_the_demo_writes_analyses_draws_and_remembers(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Interpreter(model="demo", auto_run=True) as interpreter:
        messages = interpreter.chat("analyse the demo data")
        workspace = interpreter.workbench.workspace
        assert workspace is not None
        more = interpreter.chat("and now?", display=False)[len(messages):]
    shown = capsys.readouterr().out
    assert "not a language model" in shown
    assert "1095 rows" in shown
    [picture] = data.rglob("picture-1.png")
    assert str(picture) in shown
    assert {path.name for path in workspace.iterdir()} >= {"rainfall.csv", "rainfall.png"}
    printed = [message["content"] for message in more if message["type"] == "console"]
    assert "rainfall.csv" in printed[0]
    assert printed[1].startswith("Longest run of rainy days: {'Bergen'")
    assert not any("Error" in message["content"] for message in messages if message["type"] == "console")


def test_a_workspace_of_ones_own_is_used(data: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    if os.geteuid() == 0:
        os.chown(work, 1000, 1000)  # code never runs as root, so it could only read a folder of root's
    (work / "in.txt").write_text("from the host")
    turns = {"code": "print(open('in.txt').read()); _ = open('out.txt', 'w').write('from the code')"}, {"text": "Done."}
    with Interpreter(model=script(tmp_path, *turns), auto_run=True, workspace=str(work)) as interpreter:
        messages = interpreter.chat("Go.", display=False)
    assert messages[2]["content"] == "from the host\n"
    assert (work / "out.txt").read_text() == "from the code"


def test_environment_and_secrets_reach_the_code_and_nothing_else(data: Path, tmp_path: Path) -> None:
    turns = {"language": "shell", "code": 'echo "$PLAIN ${#HIDDEN}"'}, {"text": "Done."}
    with Interpreter(model=script(tmp_path, *turns), auto_run=True, env={"PLAIN": "seen"},
                     secrets={"HIDDEN": "never-to-be-written"}) as interpreter:
        messages = interpreter.chat("Go.", display=False)
    assert messages[2]["content"] == "seen 19\n"
    files = [path for path in data.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if b"never-to-be" in path.read_bytes()]


def test_edited_code_is_what_runs(data: Path, tmp_path: Path) -> None:
    turns = {"code": "print('theirs')"}, {"text": "Done."}
    with Interpreter(model=script(tmp_path, *turns),
                     approve=lambda _: Approval(run=True, code="print('mine')")) as interpreter:
        messages = interpreter.chat("Go.", display=False)
    assert [message["content"] for message in messages if message["type"] == "console"][1:] == ["mine\n"]


def test_closing_leaves_no_container_and_every_conversation(data: Path, tmp_path: Path, engine: DockerEngine) -> None:
    turns = {"code": "1"}, {"text": "Done."}, {"text": "No code."}
    with Interpreter(model=script(tmp_path, *turns), auto_run=True) as interpreter:
        interpreter.chat("Go.", display=False)
        name = interpreter.workbench.sandbox.container_id
        assert name is not None
    assert engine.get(name).state() == "removed"
    assert len(list((data / "sessions").iterdir())) == 1
    with Interpreter(model=script(tmp_path, {"text": "No code."}), auto_run=True) as interpreter:
        interpreter.chat("Go.", display=False)
    assert len(list((data / "sessions").iterdir())) == 2


def test_dropping_an_interpreter_removes_its_container(data: Path, tmp_path: Path, engine: DockerEngine) -> None:
    interpreter = Interpreter(model=script(tmp_path, {"code": "1"}, {"text": "Done."}), auto_run=True)
    interpreter.chat("Go.")
    name = interpreter.workbench.sandbox.container_id
    assert name is not None
    del interpreter
    gc.collect()
    assert engine.get(name).state() == "removed"


def test_it_can_be_used_again_after_closing(data: Path, tmp_path: Path) -> None:
    turns = {"code": "1"}, {"text": "a"}, {"code": "2"}, {"text": "b"}
    interpreter = Interpreter(model=script(tmp_path, *turns), auto_run=True)
    for prompt, value in (("one", "1\n"), ("two", "2\n")):
        with interpreter:
            assert interpreter.chat(prompt, display=False)[-2]["content"] == value


def test_without_an_engine_the_error_says_so_and_nothing_is_left(data: Path, tmp_path: Path) -> None:
    turns = {"code": "1"}, {"text": "Done."}
    with Interpreter(model=script(tmp_path, *turns), auto_run=True, engine="tcp://127.0.0.1:9") as interpreter:
        with pytest.raises(EngineUnreachable) as caught:
            interpreter.chat("Go.", display=False)
        assert [message["type"] for message in interpreter.messages] == ["message", "code"]
    assert caught.value.next_step
    assert list((data / "sessions").iterdir()) == []


def test_a_workspace_that_is_not_there_is_an_error_before_the_model_is_asked(data: Path, tmp_path: Path) -> None:
    with Interpreter(model=script(tmp_path, {"text": "a"}), auto_run=True, workspace="/nowhere") as interpreter:
        with pytest.raises(WorkspaceError, match="does not exist"):
            interpreter.chat("Go.", display=False)
        assert len(interpreter.messages) == 1
    assert not data.exists()


def test_a_sandbox_by_itself_only_runs_code(data: Path) -> None:
    with Sandbox() as box:
        chunks = list(box.run("python", "print(6 * 7)"))
    assert fold(chunks) == [{"role": "computer", "type": "console", "format": "output", "content": "42\n"}]
    assert not data.exists()


FORGETFUL = """
import sys
from sandbox_interpreter import interpreter
interpreter.model, interpreter.auto_run = sys.argv[1], True
interpreter.chat("Go.", display=False)
print(interpreter.workbench.sandbox.container_id)
"""


def test_a_program_that_never_closes_leaves_no_container(data: Path, tmp_path: Path, engine: DockerEngine) -> None:
    model = script(tmp_path, {"code": "1"}, {"text": "Done."})
    result = subprocess.run([sys.executable, "-c", FORGETFUL, model], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert engine.get(result.stdout.strip()).state() == "removed"


def test_the_settings_of_the_codes_environment_count_without_a_command_line(
        data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", "s3cret")
    (tmp_path / "env").write_text("A=file\nB=file\n")
    model = script(tmp_path, {"language": "shell", "code": "echo $A $B $C $TOKEN_OF_TEST"}, {"text": "So."})
    settings = Settings(model=model, auto_run=True, env=("B=setting", "C=setting"), env_file=str(tmp_path / "env"),
                        secret=("TOKEN_OF_TEST",))
    with Interpreter(settings, env={"C": "argument"}) as interpreter:
        messages = interpreter.chat("Go.", display=False)
    assert messages[2]["content"] == "file setting argument s3cret\n"
