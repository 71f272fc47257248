"""Fixtures of the tests that break what a sandbox stands on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines import docker_client, quick_service
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import deadline
from tests.support import own_engine
from tests.support.own_engine import OwnEngine


@pytest.fixture(scope="module")
def daemon(engine: DockerEngine) -> Iterator[OwnEngine]:
    """Give an engine of the tests' own that has the image base; see ``fragile``."""
    if reason := own_engine.reason_against():
        pytest.skip(reason)
    daemon = OwnEngine()
    try:
        daemon.start()
        daemon.load(index.resolve("base"), engine)
        yield daemon
    finally:
        daemon.close()


@pytest.fixture
def fragile(daemon: OwnEngine) -> Iterator[OwnEngine]:
    """Give that engine, up and empty, to be broken."""
    yield daemon
    daemon.restart()
    client = daemon.client()
    try:
        for info in client.list({}):
            client.get(info.id).remove()
    finally:
        client.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long for an engine that does not answer."""
    monkeypatch.setattr(docker_client, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(quick_service, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(docker_client, "PING_SECONDS", 1)
    monkeypatch.setattr(deadline, "OVERTIME_SECONDS", 0.5)
