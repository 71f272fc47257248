"""What an ImageStore promises, asked of the real engine."""

from __future__ import annotations

import contextlib
import gc
import io
import secrets
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound

from sandbox_interpreter.catalogue import context
from sandbox_interpreter.engines import docker_images
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.docker_images import DockerImages
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.errors import BuildFailed, EngineError, EngineUnreachable, ImageMissing
from tests.support.registry import registry


@pytest.fixture
def store(engine: DockerEngine) -> ImageStore:
    return engine.images()


@pytest.fixture
def tag(engine: DockerEngine) -> Iterator[str]:
    """Give a name that no image has, and take it away from whatever has it afterwards."""
    name = f"sbi-test-{secrets.token_hex(4)}:1"
    yield name
    with contextlib.suppress(NotFound):
        engine.client.remove_image(name, force=True)


def build(store: ImageStore, tag: str, dockerfile: str, **labels: str) -> list[str]:
    archive = context.archive({"Dockerfile": dockerfile.encode(), "f": b"x"})
    return [step.text for step in store.build(archive, tag, build_args={"WORD": "hello"}, labels=labels)]


def test_an_absent_image_is_none(store: ImageStore, tag: str) -> None:
    assert store.image(tag) is None


def test_a_build_yields_its_steps_and_leaves_a_labelled_image(store: ImageStore, tag: str) -> None:
    lines = build(store, tag, "FROM scratch\nCOPY f /f\n", kind="test")
    assert any("COPY f /f" in line for line in lines)
    info = store.image(tag)
    assert info is not None
    assert info.labels == {"kind": "test"}
    assert info.tags == (tag,)
    assert info.id.startswith("sha256:")


def test_build_arguments_arrive_and_steps_are_counted(store: ImageStore, tag: str, engine: DockerEngine) -> None:
    archive = context.archive({"Dockerfile": b"FROM scratch\nARG WORD\nLABEL word=$WORD\n"})
    steps = list(store.build(archive, tag, build_args={"WORD": "hello"}, labels={}))
    assert {(step.done, step.total) for step in steps} >= {(1, 3), (2, 3), (3, 3)}
    info = store.image(tag)
    assert info is not None
    assert info.labels["word"] == "hello"


@pytest.mark.parametrize(("dockerfile", "reason"), [
    ("FROM scratch\nCOPY gone /\n", "gone"), ("NONSENSE\n", "(?i)nonsense"), ("", "(?i)empty"),
])
def test_a_build_that_cannot_work_says_why(store: ImageStore, tag: str, dockerfile: str, reason: str) -> None:
    with pytest.raises(EngineError, match=reason):
        build(store, tag, dockerfile)
    assert store.image(tag) is None


def test_garbage_instead_of_an_archive_is_an_error(store: ImageStore, tag: str) -> None:
    with pytest.raises(EngineError):
        list(store.build(io.BytesIO(b"\0garbage" * 100), tag, build_args={}, labels={}))


def test_a_root_file_system_becomes_an_image(store: ImageStore, tag: str, tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("proof"))
    store.import_rootfs(path, tag)
    info = store.image(tag)
    assert info is not None
    assert info.tags == (tag,)


def test_a_broken_root_file_system_is_an_error(store: ImageStore, tag: str, tmp_path: Path) -> None:
    path = tmp_path / "rootfs.tar"
    path.write_bytes(b"not a tar archive" * 100)
    with pytest.raises(EngineError):
        store.import_rootfs(path, tag)
    assert store.image(tag) is None


def test_an_image_can_have_one_more_name(store: ImageStore, tag: str, engine: DockerEngine) -> None:
    build(store, tag, "FROM scratch\nCOPY f /f\nLABEL a=b\n")
    second = tag.replace(":1", ":2")
    store.tag(tag, second)
    try:
        first, other = store.image(tag), store.image(second)
        assert first is not None
        assert other is not None
        assert first.id == other.id
    finally:
        engine.client.remove_image(second)


def test_a_pull_brings_the_image(store: ImageStore, engine: DockerEngine) -> None:
    with registry() as address:
        reference = f"{address}/tiny:1"
        list(store.pull(reference))
        try:
            info = store.image(reference)
            assert info is not None
            assert info.digests[0].startswith(f"{address}/tiny@sha256:")
        finally:
            engine.client.remove_image(reference, force=True)


def test_an_image_that_the_registry_lacks_is_missing(store: ImageStore) -> None:
    with registry() as address, pytest.raises(ImageMissing, match="gone:1"):
        list(store.pull(f"{address}/gone:1"))


def test_a_registry_that_nobody_answers_for_is_missing_at_once(store: ImageStore) -> None:
    begun = time.perf_counter()
    with pytest.raises(ImageMissing, match="cannot be pulled") as caught:
        list(store.pull("127.0.0.1:1/x:1"))
    assert time.perf_counter() - begun < 5
    assert "docker load" in caught.value.next_step


def test_a_silent_registry_is_not_waited_for(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_images, "ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.perf_counter()
        with pytest.raises(ImageMissing, match="no registry answered within 1 s"):
            list(store.pull(f"127.0.0.1:{silent.getsockname()[1]}/x:1"))
        assert time.perf_counter() - begun < 20


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the SDK drops a socket that failed
def test_an_engine_that_went_away_is_unreachable(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    client = docker.APIClient(f"unix://{path}", version="1.41")
    with pytest.raises(EngineUnreachable):
        DockerImages(client).image("x")
    client.close()
    gc.collect()


def test_a_build_that_fails_is_its_own_kind_of_error(store: ImageStore, tag: str) -> None:
    with pytest.raises(BuildFailed, match="Building sbi-test"):
        build(store, tag, "FROM scratch\nRUN true\n")
