from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.scripted import ScriptedEngine
from sandbox_interpreter.errors import EngineUnreachable
from sandbox_interpreter.sandbox import launch, private
from sandbox_interpreter.sandbox.owner import owner_label
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.workspace import Workspace
from sandbox_interpreter.sessions import reaper, store
from sandbox_interpreter.sessions.log import EventLog
from sandbox_interpreter.sessions.session import Record, Session


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    engine = ScriptedEngine(lambda _: [])
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def dead() -> str:
    """Give an owner that has ended."""
    code = "from sandbox_interpreter.sandbox.owner import owner_label; print(owner_label())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def container(engine: ScriptedEngine, owner: str, label: str = "0123456789ab") -> str:
    """Create a container of an owner's, and return its name."""
    spec = launch.container_spec("image", Policy(), Workspace(Path("/w"), "rw", "1000:1000"), label)
    return engine.create(replace(spec, labels={**spec.labels, f"{launch.LABEL}.owner": owner})).spec.name


def session() -> Session:
    return store.create(Record(container=store.container_label()))


def left(engine: ScriptedEngine) -> list[str]:
    return [info.name for info in engine.list({})]


def test_only_containers_whose_owner_has_ended_are_removed(engine: ScriptedEngine, dead: str) -> None:
    elsewhere = f"another-boot/{dead.partition('/')[2]}"
    kept = [container(engine, owner) for owner in (owner_label(), elsewhere, "unknown/1/2/3/0", "garbage", "a/1/2")]
    gone = container(engine, dead)
    assert reaper.prune(engine, resumable=True).containers == (gone,)
    assert left(engine) == kept
    assert reaper.prune(engine, resumable=True) == reaper.Pruned()


def test_what_can_be_resumed_stays_unless_it_is_asked_for(engine: ScriptedEngine, dead: str) -> None:
    name = container(engine, dead, session().record().container)
    assert reaper.prune(engine, resumable=False).containers == ()
    assert reaper.prune(engine, resumable=True).containers == (name,)


def test_what_a_resumed_session_works_in_stays_although_its_first_owner_has_ended(engine: ScriptedEngine,
                                                                               dead: str) -> None:
    resumed = session()
    container(engine, dead, resumed.record().container)
    opened = EventLog(resumed.events)
    assert reaper.prune(engine, resumable=True).containers == ()
    opened.close()
    assert len(reaper.prune(engine, resumable=True).containers) == 1


def test_a_container_whose_session_was_removed_goes(engine: ScriptedEngine, dead: str) -> None:
    removed = session()
    name = container(engine, dead, removed.record().container)
    store.remove(removed)
    assert reaper.prune(engine, resumable=False).containers == (name,)


def test_containers_of_sessions_in_another_data_folder_stay(engine: ScriptedEngine, dead: str, tmp_path: Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    name = container(engine, dead, session().record().container)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("SBI_DATA_DIR", str(tmp_path / "elsewhere"))
        assert reaper.prune(engine, resumable=True).containers == ()
    assert reaper.prune(engine, resumable=True).containers == (name,)


def test_private_folders_of_ended_programs_are_removed_and_of_living_ones_not(engine: ScriptedEngine,
                                                                            dead: str) -> None:
    living, ended = private.create().folder, private.create().folder
    (ended.parent / "owner").write_text(dead)
    (ended / "deep").mkdir(mode=0)
    assert reaper.prune(engine, resumable=False).folders == (ended.parent,)
    assert not ended.parent.exists()
    assert living.is_dir()


def test_containers_are_found_by_their_session_and_nothing_by_no_label(engine: ScriptedEngine) -> None:
    name = container(engine, owner_label(), "0123456789ab")
    assert [info.name for info in reaper.containers_of(engine, "0123456789ab")] == [name]
    assert reaper.containers_of(engine, "") == []
    assert reaper.living(engine) == set()
    engine.get(name).start()
    assert reaper.living(engine) == {"0123456789ab"}


def test_tidying_in_the_background_tells_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Settings] = []

    def unreachable(settings: Settings) -> ScriptedEngine:
        asked.append(settings)
        raise EngineUnreachable("No engine.")

    monkeypatch.setattr(reaper, "_DELAY", 0.0)
    monkeypatch.setattr(reaper, "open_engine", unreachable)
    reaper.prune_soon(Settings())  # an error in a thread would be a warning, and so a failure
    deadline = time.monotonic() + 5
    while not asked:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_tidying_in_the_background_removes_what_nobody_can_take_up(engine: ScriptedEngine, dead: str,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "_DELAY", 0.0)
    monkeypatch.setattr(reaper, "open_engine", lambda _: engine)
    container(engine, dead)
    reaper.prune_soon(Settings())
    deadline = time.monotonic() + 5
    while left(engine):
        assert time.monotonic() < deadline
        time.sleep(0.01)
