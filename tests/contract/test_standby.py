"""Standbys: claimed once, by one, only where everything fits, and never after code has run in them."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.engines.base import ContainerInfo
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import private, standby
from sandbox_interpreter.sandbox import workspace as workspaces
from sandbox_interpreter.sandbox.instance import Instance
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sandbox.standby import Wanted
from tests.support.runs import run

POLICY = Policy(grace=0.5)
WANTED = Wanted("python", POLICY, None)


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: DockerEngine) -> Iterator[Path]:
    """Keep private folders of a test together; afterwards see that no container and no folder is left."""
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    yield tmp_path / "t"
    for info in ours(engine, tmp_path / "t"):
        engine.get(info.id).remove()
    standby.tidy(engine)
    assert list((tmp_path / "t").iterdir()) == []


def ours(engine: DockerEngine, place: Path) -> list[ContainerInfo]:
    return [info for info in engine.list({standby.LABEL: ""})
            if info.labels.get(f"{standby.LABEL}.folder", "").startswith(str(place))]


def wait_for_none(engine: DockerEngine, place: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while ours(engine, place) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ours(engine, place) == []


def test_a_run_begins_in_the_standby_with_its_own_environment_and_an_empty_workspace(engine: DockerEngine) -> None:
    assert standby.leave(engine, WANTED, most=1)
    assert not standby.leave(engine, WANTED, most=1)
    (waiting,) = engine.list({standby.LABEL: standby._key(engine, WANTED) or ""})
    inspected = json.dumps(engine.client.inspect_container(waiting.id))
    with Sandbox(policy=POLICY, engine=engine, env={"A": "b"}, secrets={"S": "hunter2"}, standby=True) as box:
        box.start()
        assert box.container_id == waiting.id
        assert run(box, "python", "import os; print(os.environ['A'], os.environ['S'], os.listdir())").stdout == \
            "b hunter2 []\n"
        run(box, "shell", "echo kept > file")
        assert box.workspace is not None
        assert (box.workspace / "file").read_text() == "kept\n"
    assert engine.get(waiting.id).state() == "removed"
    assert "hunter2" not in inspected


def test_of_many_who_want_one_standby_one_gets_it(engine: DockerEngine) -> None:
    assert standby.leave(engine, WANTED, most=1)
    start, claimed = threading.Barrier(6), []

    def want() -> None:
        own = DockerEngine()
        start.wait()
        claimed.append(standby.claim(own, WANTED, {}))

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [each for each in claimed if each]
    assert len(claimed) == 6
    winner.instance.discard()
    private.remove(winner.workspace.folder)


def test_every_rename_to_one_name_but_the_first_is_refused(engine: DockerEngine) -> None:
    assert standby.leave(engine, WANTED, most=1)
    (waiting,) = standby._waiting(engine, standby._key(engine, WANTED) or "")
    answers: list[bool] = []
    start = threading.Barrier(8)

    def rename() -> None:
        container = DockerEngine().get(waiting.id)
        start.wait()
        answers.append(container.rename("sbi-taken-" + waiting.id[:12]))

    threads = [threading.Thread(target=rename) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] * 7 + [True]


@pytest.mark.parametrize("moment", ["renamed", "adopted", "joined"])
def test_a_claimer_that_is_killed_leaves_nothing_to_claim_and_it_ends_itself(
        moment: str, engine: DockerEngine, own_place: Path) -> None:
    # Long enough for a busy machine to start the claimer, which is told nothing of how long it has.
    short = Wanted("python", dataclasses.replace(POLICY, idle=10), None)
    assert standby.leave(engine, short, most=1)
    killed = subprocess.run([sys.executable, "-c", f"""
import os, signal, tempfile
tempfile.tempdir = {str(own_place)!r}
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import private, standby
from sandbox_interpreter.sandbox.instance import Instance
from sandbox_interpreter.sandbox.policy import Policy
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if {moment!r} == "renamed": standby._join = die
if {moment!r} == "adopted": Instance.join_fresh = die
standby.claim(DockerEngine(), standby.Wanted("python", {short.policy!r}, None), {{}})
die()
"""], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(ours(engine, own_place)) == 1
    assert standby.claim(engine, short, {}) is None
    wait_for_none(engine, own_place, seconds=40)
    standby.tidy(engine)
    for folder in private.abandoned():
        private.remove(folder)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Policy)])
def test_a_policy_that_differs_in_anything_makes_another_key(name: str, engine: DockerEngine) -> None:
    value = getattr(POLICY, name)
    other: Any = "x" if value is None else value + "x" if isinstance(value, str) else value + 1
    changed = dataclasses.replace(POLICY, **{name: other})
    assert standby._key(engine, Wanted("python", changed, None)) != standby._key(engine, WANTED)


def test_another_image_or_workspace_makes_another_key(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    places = [workspaces.resolve(text) for text in (f"{tmp_path}/a", f"{tmp_path}/b", f"{tmp_path}/a:ro")]
    wanted = [WANTED, Wanted("base", POLICY, None), *(Wanted("python", POLICY, place) for place in places)]
    keys = [standby._key(engine, each) for each in wanted]
    assert len({*keys}) == len(keys)
    assert None not in keys
    assert standby._key(engine, Wanted("none-such", POLICY, None)) is None


def test_a_standby_of_another_policy_is_not_taken(engine: DockerEngine) -> None:
    assert standby.leave(engine, WANTED, most=1)
    assert standby.claim(engine, Wanted("python", dataclasses.replace(POLICY, pids=99), None), {}) is None
    assert len(standby._waiting(engine, standby._key(engine, WANTED) or "")) == 1


def test_a_container_in_which_code_has_run_is_refused_even_if_it_bears_a_standbys_name(
        engine: DockerEngine, own_place: Path) -> None:
    assert standby.leave(engine, WANTED, most=1)
    (waiting,) = ours(engine, own_place)
    intruder = Instance(engine.get(waiting.id), POLICY, joins=True)
    intruder.join()
    with Sandbox(policy=POLICY, engine=engine) as box:
        box._instance = intruder
        run(box, "python", "1")
        box.detach()
    assert standby.claim(engine, WANTED, {}) is None
    assert engine.get(waiting.id).state() == "removed"
    private.remove(Path(waiting.labels[f"{standby.LABEL}.folder"]))


def test_a_workspace_that_somebody_has_written_to_is_refused(engine: DockerEngine, own_place: Path) -> None:
    assert standby.leave(engine, WANTED, most=1)
    (waiting,) = ours(engine, own_place)
    folder = Path(waiting.labels[f"{standby.LABEL}.folder"])
    (folder / "planted").touch()
    assert standby.claim(engine, WANTED, {}) is None
    assert engine.get(waiting.id).state() == "removed"


def test_a_standby_that_nobody_wants_ends_itself_and_its_folder_is_removed_by_the_next(
        engine: DockerEngine, own_place: Path) -> None:
    short = Wanted("python", dataclasses.replace(POLICY, idle=2), None)
    assert standby.leave(engine, short, most=1)
    assert standby.tidy(engine) == []
    wait_for_none(engine, own_place)
    assert [path.parent for path in standby.tidy(engine)] == [own_place]


def test_a_named_workspace_is_shown_to_the_standby_as_to_any_run(engine: DockerEngine, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir(mode=0o777)
    (tmp_path / "w" / "given").write_text("1")
    place = workspaces.resolve(f"{tmp_path}/w:ro")
    wanted = Wanted("python", dataclasses.replace(POLICY, access="ro"), place)
    assert standby.leave(engine, wanted, most=1)
    with Sandbox(policy=wanted.policy, workspace=place, engine=engine, standby=True) as box:
        assert run(box, "shell", "cat given; touch new || echo refused").stdout == "1refused\n"
    assert (tmp_path / "w" / "given").exists()
    assert engine.list({standby.LABEL: standby._key(engine, wanted) or ""}) == []


def test_dismissing_ends_those_that_wait_and_spares_those_that_work(engine: DockerEngine, own_place: Path) -> None:
    assert standby.leave(engine, WANTED, most=1)
    with Sandbox(policy=POLICY, engine=engine, standby=True) as box:
        assert run(box, "python", "print(1)").stdout == "1\n"
        assert standby.leave(engine, WANTED, most=1)
        (waiting,) = standby._waiting(engine, standby._key(engine, WANTED) or "")
        assert standby._dismiss(engine, waiting)
        assert not standby._dismiss(engine, waiting)
        assert run(box, "python", "print(2)").stdout == "2\n"
