"""Images on their way to a registry, a file and other machines, as a user sends them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.errors import NotFound

from sandbox_interpreter.catalogue import context
from sandbox_interpreter.catalogue.labels import CA_LABEL
from sandbox_interpreter.engines.docker import DockerEngine
from tests.support import team_registry
from tests.support.sbi_process import Commands

DIGEST = r"sha256:[0-9a-f]{64}"
PUSHED, SAVED = (f"sbi-test-{use}-{os.getpid()}:1" for use in ("push", "save"))  # the engine may have other users


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """Give the address of a registry."""
    with team_registry.registry(tmp_path) as address:
        yield address


@pytest.fixture
def made(engine: DockerEngine) -> Iterator[list[str]]:
    """Collect names that are taken away from their images afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        with contextlib.suppress(NotFound):
            engine.client.remove_image(name, force=True)


def make(engine: DockerEngine, made: list[str], name: str, content: str = "1", **labels: str) -> str:
    """Build a tiny image of that name and content; return its identifier."""
    made.append(name)
    files = {"Dockerfile": b"FROM scratch\nCOPY f /usr/local/share/f\n", "f": content.encode()}
    list(engine.images().build(context.archive(files), name, build_args={}, labels=labels))
    info = engine.images().image(name)
    assert info
    return info.id


def forget(engine: DockerEngine, *names: str) -> None:
    for name in names:
        engine.transport().remove(name)


def test_what_one_pushes_another_pulls_by_its_digest(sbi: Commands, hub: str, engine: DockerEngine,
                                                     made: list[str]) -> None:
    reference = f"{hub}/team/tiny:1"
    image_id = make(engine, made, PUSHED, secrets.token_hex())
    pushed = sbi("images", "push", PUSHED, reference)
    made.append(reference)
    assert pushed.code == 0, pushed.said
    pinned = pushed.out.decode().strip()
    assert re.fullmatch(rf"{hub}/team/tiny@{DIGEST}", pinned)
    forget(engine, reference, PUSHED)
    assert engine.images().image(image_id) is None
    pulled = sbi("images", "pull", pinned)
    made.append(pinned)
    assert (pulled.code, pulled.out.decode().strip()) == (0, pinned), pulled.said
    info = engine.images().image(pinned)
    assert info
    assert info.id == image_id


def test_a_registry_that_wants_to_know_who_asks_is_told_what_docker_login_wrote(
        sbi: Commands, tmp_path: Path, engine: DockerEngine, made: list[str]) -> None:
    with team_registry.registry(tmp_path, password=True) as address:
        reference = f"{address}/team/tiny:1"
        make(engine, made, reference, secrets.token_hex())
        refused = sbi("images", "push", reference, env={"DOCKER_CONFIG": str(tmp_path / "nobody")})
        assert refused.code == 125
        assert "cannot be pushed" in refused.said
        assert f"docker login {address}" in refused.said
        auth = base64.b64encode(f"{team_registry.USER}:{team_registry.PASSWORD}".encode()).decode()
        (tmp_path / "member").mkdir()
        (tmp_path / "member" / "config.json").write_text(json.dumps({"auths": {address: {"auth": auth}}}))
        member = {"DOCKER_CONFIG": str(tmp_path / "member")}
        pushed = sbi("images", "push", reference, env=member)
        assert pushed.code == 0, pushed.said
        assert team_registry.PASSWORD not in pushed.said
        assert sbi("images", "pull", reference, env=member).code == 0


@pytest.mark.parametrize("words", [("push", "python"), ("push", "base", "team/base:1"), ("push", "sbi-base:0.1.0")])
def test_an_image_is_sent_to_no_registry_that_nobody_named(sbi: Commands, words: tuple[str, ...]) -> None:
    done = sbi("images", *words)
    assert (done.code, done.out) == (2, b"")
    assert "names no registry" in done.said
    assert "sbi images push" in done.said


def test_a_registry_that_is_not_there_is_told(sbi: Commands, engine: DockerEngine, made: list[str]) -> None:
    make(engine, made, "127.0.0.1:1/tiny:1")
    done = sbi("images", "push", "127.0.0.1:1/tiny:1")
    assert done.code == 125
    assert "'127.0.0.1:1/tiny:1' cannot be pushed" in done.said


def test_a_bundled_image_is_built_and_not_pulled(sbi: Commands) -> None:
    done = sbi("images", "pull", "base")
    assert done.code == 2
    assert "sbi images build base" in done.said


@pytest.mark.parametrize("how", ["label", "file"])
def test_an_image_that_trusts_the_hosts_certificates_is_not_sent_unless_that_is_meant(
        sbi: Commands, hub: str, engine: DockerEngine, made: list[str], how: str) -> None:
    reference = f"{hub}/team/ca:1"
    if how == "label":
        make(engine, made, reference, secrets.token_hex(), **{CA_LABEL: "ab" * 32})
    else:
        made.append(reference)
        files = {"Dockerfile": b"FROM scratch\nCOPY f /usr/local/share/ca-certificates/corporate.crt\n", "f": b"cert"}
        list(engine.images().build(context.archive(files), reference, build_args={}, labels={}))
    refused = sbi("images", "push", reference)
    assert (refused.code, refused.out) == (2, b"")
    assert "trusts certificates of your own" in refused.said
    assert "--allow-ca" in refused.said
    assert sbi("images", "push", "--allow-ca", reference).code == 0


@pytest.mark.parametrize("name", ["tiny.tar", "tiny.tar.gz"])
def test_a_file_carries_an_image_to_a_machine_without_a_registry(sbi: Commands, engine: DockerEngine, made: list[str],
                                                                 name: str) -> None:
    image_id = make(engine, made, SAVED, secrets.token_hex())
    (sbi.folder / f"{name}.part").symlink_to("victim")  # as code could do in a folder that is shared with it
    saved = sbi("images", "save", name, SAVED)
    assert (saved.code, saved.out.decode()) == (0, f"{SAVED}  {image_id}\n"), saved.said
    (sbi.folder / f"{name}.part").unlink()
    assert [path.name for path in sbi.folder.iterdir()] == [name]
    assert (sbi.folder / name).read_bytes().startswith(gzip.compress(b"")[:2]) is name.endswith("gz")
    forget(engine, SAVED)
    loaded = sbi("images", "load", name)
    assert (loaded.code, loaded.out.decode()) == (0, f"{SAVED}  {image_id}\n"), loaded.said


def test_a_bundled_image_is_saved_with_what_it_stands_on(sbi: Commands) -> None:
    assert sbi("images", "save", "base.tar", "base").code == 0
    assert sbi("images", "load", "base.tar").out.startswith(b"sbi-base:0.1.0  sha256:")


@pytest.mark.parametrize(("words", "said"), [
    (("save", "gone/x.tar", "base"), "gone/x.tar cannot be written"), (("load", "gone.tar"), "gone.tar cannot be read"),
    (("save", "x.tar", "example.invalid/none:1"), "'example.invalid/none:1' is not present"),
])
def test_what_cannot_be_saved_or_loaded_is_named(sbi: Commands, words: tuple[str, ...], said: str) -> None:
    done = sbi("images", *words)
    assert done.code in (2, 125)
    assert said in done.said
    assert list(sbi.folder.iterdir()) == []


def test_a_file_that_holds_no_image_loads_nothing(sbi: Commands) -> None:
    (sbi.folder / "x.tar").write_bytes(b"not an archive" * 100)
    done = sbi("images", "load", "x.tar")
    assert done.code == 125
    assert "could not load the archive" in done.said


# --- the lock ---


def test_a_lock_is_written_into_the_projects_file_and_a_session_holds_to_it(sbi: Commands,
                                                                            engine: DockerEngine) -> None:
    (sbi.folder / ".git").mkdir()
    (sbi.folder / ".sbi.yaml").write_text("# ours\nimage: base  # small\n")
    done = sbi("images", "lock")
    info = engine.images().image("sbi-base:0.1.0")
    assert info
    assert (done.code, done.out.decode()) == (0, f"base  {info.id}\n"), done.said
    assert (sbi.folder / ".sbi.yaml").read_text() == f"# ours\nimage: base  # small\nlock:\n  base: {info.id}\n"
    assert sbi("run", "-l", "sh", "-c", "echo 22").out == b"22\n"
    other = "sha256:" + "0" * 64
    (sbi.folder / ".sbi.yaml").write_text(f"image: base\nlock:\n  base: {other}\n")
    refused = sbi("run", "-l", "sh", "-c", "echo 22")
    assert (refused.code, refused.out) == (125, b"")
    assert other in refused.said
    assert info.id in refused.said


def test_a_trusted_file_stays_trusted_when_its_user_locks(sbi: Commands) -> None:
    (sbi.folder / ".git").mkdir()
    (sbi.folder / ".sbi.yaml").write_text("image: base\nenv: {GREETING: hello}\n")
    assert sbi("config", "trust").code == 0
    assert sbi("images", "lock").code == 0
    assert sbi("run", "-l", "sh", "-c", "echo $GREETING").out == b"hello\n"


def test_a_project_may_not_take_the_users_own_lock_away(sbi: Commands, tmp_path: Path) -> None:
    mine = "sha256:" + "1" * 64
    (tmp_path / "config.yaml").write_text(f"lock:\n  base: {mine}\n")
    (sbi.folder / ".git").mkdir()
    (sbi.folder / ".sbi.yaml").write_text(f"image: base\nlock:\n  base: sha256:{'2' * 64}\n")
    done = sbi("run", "--config-file", str(tmp_path / "config.yaml"), "-l", "sh", "-c", "echo 22")
    assert (done.code, done.out) == (2, b"")
    assert "lock: this file may only add to it" in done.said
