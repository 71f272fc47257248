"""An engine that does not see this machine's folders: none is mounted there, and files travel by copy."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.cli import checks
from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import FolderUnseen
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sandbox.workspace import resolve
from sandbox_interpreter.tasks.place import Here, Places, Switch
from sandbox_interpreter.tasks.record import Task
from tests.support import own_engine
from tests.support.own_engine import OwnEngine
from tests.support.runs import run

TICK = 0.1
"""Seconds in which a file system's clock goes on: folders made within one of its ticks have one and the same ctime."""


@pytest.fixture(scope="module")
def far(engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OwnEngine, Path]]:
    """Give a daemon as on another machine, and a folder of this one that it does not see."""
    if reason := own_engine.reason_against():
        pytest.skip(reason)
    here = tmp_path_factory.mktemp("here")
    daemon = OwnEngine(unseen=here)
    try:
        daemon.start()
        for image in ("base", "cpp"):
            daemon.load(index.resolve(image), engine)
        yield daemon, here
    finally:
        daemon.close()


@pytest.fixture
def elsewhere(far: tuple[OwnEngine, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[DockerEngine, Path]]:
    """Give a client of it, and that folder, in which also sessions and private folders are."""
    daemon, here = far
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    monkeypatch.setenv("SBI_DATA_DIR", str(here / "data"))
    client = daemon.client()
    yield client, here
    client.close()


@contextmanager
def relayed(path: Path) -> Iterator[str]:
    """Give a TCP address behind which a socket's engine answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, str(path)), daemon=True).start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, path: str) -> None:
    with suppress(OSError):
        while True:
            threading.Thread(target=_relay, args=(listener.accept()[0], path), daemon=True).start()


def _relay(client: socket.socket, path: str) -> None:
    with client, socket.socket(socket.AF_UNIX) as engine:
        engine.connect(path)
        (answers := threading.Thread(target=_pump, args=(engine, client), daemon=True)).start()
        _pump(client, engine)
        answers.join()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def test_a_folder_of_the_users_is_refused_with_what_to_do(elsewhere: tuple[DockerEngine, Path]) -> None:
    far, here = elsewhere
    (here / "work").mkdir()
    with Sandbox("base", engine=far, workspace=here / "work", notify=lambda _: None) as box, \
            pytest.raises(FolderUnseen, match="another machine") as caught:
        run(box, "python", "1")
    assert caught.value.next_step == f"Let it travel by copy, both ways: -w {here / 'work'}:copy"


def test_doctor_says_so_and_what_mends_it(far: tuple[OwnEngine, Path], elsewhere: tuple[DockerEngine, Path],
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    daemon, here = far
    (here / "doctors").mkdir()
    monkeypatch.setenv("SBI_IMAGE", "base")
    monkeypatch.setenv("SBI_WORKSPACE", str(here / "doctors"))
    found = [check for check in checks.run_all(daemon.address) if check.name in ("workspace", "known gap", "sandbox")]
    assert [(check.name, check.ok) for check in found] == [
        ("sandbox", True), ("known gap", True), ("workspace", False)]
    assert found[2].mend.endswith(f"-w {here / 'doctors'}:copy")
    assert "DIR:copy" in found[1].detail


def test_a_folder_of_the_users_travels_by_copy_both_ways(elsewhere: tuple[DockerEngine, Path],
                                                         notices: list[str]) -> None:
    far, here = elsewhere
    (work := here / "copied").mkdir()
    (work / "in.txt").write_text("6")
    with Sandbox("base", engine=far, workspace=f"{work}:copy", notify=notices.append) as box:
        run(box, "python", "n = int(open('in.txt').read())\nopen('out.txt', 'w').write(str(n * 7))")
        assert (work / "out.txt").read_text() == "42"
        (work / "in.txt").write_text("7")
        assert run(box, "shell", "cat in.txt").stdout == "7"
        assert run(box, "shell", "stat -c %U . && df --output=fstype . | tail -1").stdout == "sandbox\ntmpfs\n"
    assert notices == []


def test_a_folder_of_the_same_name_there_is_not_taken_for_ours(far: tuple[OwnEngine, Path], notices: list[str]) -> None:
    daemon, here = far
    (work := here / "namesake").mkdir()
    (work / "ours").touch()
    time.sleep(TICK)
    subprocess.run(["nsenter", f"--target={daemon.pid}", "--mount", "mkdir", work], check=True)
    with relayed(daemon.folder / "api.sock") as address, Sandbox(
            "base", engine=address, workspace=work, notify=notices.append) as box:
        with pytest.raises(FolderUnseen, match="what has that name there is another folder") as caught:
            run(box, "shell", "touch theirs")
        assert caught.value.next_step == f"Let it travel by copy, both ways: -w {work}:copy"
    client = daemon.client()
    assert client.list({LABEL: ""}) == []
    client.close()


def test_a_folder_that_such_an_engine_does_see_is_mounted(far: tuple[OwnEngine, Path], tmp_path: Path) -> None:
    daemon, _ = far
    (tmp_path / "seen").mkdir(mode=0o777)
    (tmp_path / "seen").chmod(0o777)
    with (relayed(daemon.folder / "api.sock") as address,
          Sandbox("base", engine=address, workspace=tmp_path / "seen") as box):
        run(box, "shell", "touch here")
    assert (tmp_path / "seen/here").exists()


def test_a_conversations_files_are_kept_here_and_are_the_same_in_all_of_its_sandboxes(
        far: tuple[OwnEngine, Path], elsewhere: tuple[DockerEngine, Path], tmp_path: Path) -> None:
    daemon, _ = far
    program = ('#include <fstream>\nint main() { std::string s; std::ifstream("first.txt") >> s; '
               'std::ofstream("second.txt") << s << " two"; }')
    script = [("shell", "echo one > first.txt"), ("cpp", program), ("shell", "cat second.txt")]
    turns = [turn for language, code in script
             for turn in ({"text": "I run it.", "language": language, "code": code}, {"text": "Done."})]
    (tmp_path / "script.yaml").write_text(yaml.safe_dump({"turns": turns}))
    said: list[str] = []
    with Interpreter(model=f"scripted:{tmp_path / 'script.yaml'}", image="base", engine=daemon.address,
                     auto_run=True) as interpreter:
        interpreter.notify = said.append
        for _ in script:
            messages = interpreter.chat("next", display=False)
        workspace = interpreter.workbench.workspace
        assert workspace is not None
        assert (workspace / "second.txt").read_text() == "one two"
    assert messages[-2]["content"] == "one two"
    assert (workspace / "first.txt").read_text() == "one\n"
    assert any("copied to the session's folder" in text for text in said)


def test_a_task_that_shares_a_container_there_meets_no_file_of_the_one_before(
        far: tuple[OwnEngine, Path], elsewhere: tuple[DockerEngine, Path]) -> None:
    daemon, here = far
    task = Task("task", here / "task.yaml", code="ls", language="shell", isolation="cell")
    settings = Settings(image="base", engine=daemon.address)
    with Places(Switch(), Here(daemon.client)) as places:
        for _ in range(2):
            with places.lend(task, settings, lambda *_: None) as box:
                assert isinstance(box, Sandbox)
                assert run(box, "shell", "ls -A; touch mine").stdout == ""


def test_files_of_a_client_that_was_killed_come_with_the_next(far: tuple[OwnEngine, Path],
                                                              elsewhere: tuple[DockerEngine, Path]) -> None:
    client, here = elsewhere
    (work := here / "left").mkdir()
    (work / "in.txt").write_text("6")
    place = replace(resolve(f"{work}:copy"), record=here / "record.json")
    first = Sandbox("base", engine=client, workspace=place)
    run(first, "shell", "echo 42 > out.txt")
    # As after a kill: nothing more is copied, and the container lives on.
    first.execute("shell", "echo 43 > out.txt; echo 7 > in.txt; sleep 1; echo end")
    assert first._instance
    first._instance.detach()
    second = Sandbox("base", engine=client, workspace=place, session=first.session)
    for execution in second.reattach():
        list(execution)
    assert ((work / "out.txt").read_text(), (work / "in.txt").read_text()) == ("43\n", "7\n")
    second.close()


def test_a_private_workspace_is_there_and_travels_by_copy(elsewhere: tuple[DockerEngine, Path], tmp_path: Path,
                                                         notices: list[str]) -> None:
    far, here = elsewhere
    (tmp_path / "in.txt").write_text("6")
    with Sandbox("base", engine=far, notify=notices.append) as box:
        box.upload(tmp_path / "in.txt")
        code = "n = int(open('/workspace/in.txt').read())\nopen('out.txt', 'w').write(str(n * 7))"
        assert run(box, "python", code).result.exit_code == 0
        assert [path.read_text() for path in box.download("*.txt", tmp_path / "back")] == ["6", "42"]
        assert run(box, "shell", "head -c 1g /dev/zero > full").result.exit_code != 0
        assert run(box, "shell", "stat -c %U . && df --output=fstype . | tail -1").stdout == "sandbox\ntmpfs\n"
    assert ["on another machine" in notice for notice in notices] == [True]
    assert list(here.glob("sbi-*")) == []
