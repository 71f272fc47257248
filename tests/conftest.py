"""Fixtures that every test may ask for. An engine that is needed and missing is a failure, never a skip."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from hypothesis import settings

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import FolderUnseen
from sandbox_interpreter.models import local
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.images import MakeImage

# The same examples in every run, and no time limit for any of them: a busy machine is no reason to fail.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")

# Whoever runs the tests in the background of a shell, or with nohup, hands an ignored SIGINT down to every process
# that they start; a program that is to be interrupted would then run on.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# `make test ARGS=...` hands its options on to every make below it; a `make chat` of a test would take them for its own.
for name in ("ARGS", "WORKERS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the settings and sessions of whoever runs it."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("SBI_CONFIG_DIR", str(folder / "config"))
    monkeypatch.setenv("SBI_DATA_DIR", str(folder / "data"))
    # Nor do they find the model server that this person may have: in this process, and in those that tests start.
    monkeypatch.setattr(local, "find", list)
    monkeypatch.setenv("SBI_LOCAL", "false")


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerEngine]:
    """Give the engine that the tests run on; `make test` starts one."""
    engine = DockerEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def image(engine: DockerEngine) -> Iterator[MakeImage]:
    """Give a function that makes an image like ``base`` with these lines of a Dockerfile on top; returns its name."""
    client = engine.client
    made: list[str] = []

    def make(*changes: str) -> str:
        container = client.create_container(index.resolve("base"), command=["true"])["Id"]
        repository = f"sbi-test-changed-{os.getpid()}-{len(made)}"
        try:
            client.commit(container, repository=repository, tag="1", changes=list(changes))
        finally:
            client.remove_container(container)
        made.append(f"{repository}:1")
        return made[-1]

    yield make
    for name in made:
        client.remove_image(name)


@pytest.fixture
def notices() -> list[str]:
    """Collect what a sandbox tells its user."""
    return []


@pytest.fixture
def box(engine: DockerEngine, notices: list[str]) -> Iterator[Sandbox]:
    """Give a sandbox with a short grace, closed afterwards."""
    with Sandbox(engine=engine, policy=Policy(grace=0.5), notify=notices.append) as sandbox:
        yield sandbox


@pytest.fixture
def patient_box(engine: DockerEngine) -> Iterator[Sandbox]:
    """Give a sandbox whose code has long to heed an interrupt, for tests of code that does: machines are busy."""
    with Sandbox(engine=engine, policy=Policy(grace=30.0)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def shared_box(engine: DockerEngine) -> Iterator[Sandbox]:
    """Give one sandbox to all tests of a module, for those that leave no trace in it."""
    with Sandbox(engine=engine, policy=Policy(grace=0.5)) as sandbox:
        yield sandbox


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Skip, on the matrix's engine of another machine, what mounts a folder of this one: that is refused there.

    What becomes of such a folder instead is told by tests/attack/test_engine_elsewhere.py, on every engine.
    """
    try:
        return (yield)
    except FolderUnseen as error:
        if os.environ.get("MATRIX_FAR"):
            pytest.skip(str(error))
        raise


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Mark what stands outside tests/unit as needing an engine."""
    for item in items:
        if "unit" not in item.path.parts:
            item.add_marker(pytest.mark.engine)
