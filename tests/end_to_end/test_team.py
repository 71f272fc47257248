"""Two members of a team, each with an engine of their own, and a registry between them."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.errors import NotFound

from sandbox_interpreter.catalogue import context, pins
from sandbox_interpreter.engines.docker import DockerEngine
from tests.support import second_engine, team_registry
from tests.support.sbi_process import Commands, Ended

HELLO = ["run", "-l", "sh", "-c", "/opt/team/hello"]
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass
class Member:
    """Somebody with an engine, a home and a copy of the project."""

    commands: Commands
    env: dict[str, str]

    def __call__(self, *words: str, **env: str) -> Ended:
        return self.commands(*words, env={**self.env, **env})

    @property
    def engine(self) -> DockerEngine:
        return self.commands.engine


@pytest.fixture(scope="module")
def second() -> Iterator[DockerEngine]:
    with second_engine.engine() as address:
        engine = DockerEngine(address)
        yield engine
        engine.close()


@pytest.fixture
def members(sbi: Commands, second: DockerEngine, tmp_path: Path) -> Iterator[tuple[Member, Member]]:
    """Give Ann, whose engine has the bundled images, and Bob, whose engine has none."""
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob-temporary").mkdir()
    bob = Commands(tmp_path / "bob", tmp_path / "bob-temporary", second)
    own = {"SBI_DATA_DIR": str(tmp_path / "bob-data"), "SBI_CONFIG_DIR": str(tmp_path / "bob-config"),
           "DOCKER_HOST": str(second.client.base_url).replace("http+docker://localhost", _address(second))}
    yield Member(sbi, {}), Member(bob, own)
    assert bob.left_behind() == []


def _address(engine: DockerEngine) -> str:
    """Return the address that an engine was reached by; its client only knows the socket."""
    adapter = engine.client.get_adapter("http+docker://localhost")
    return f"unix://{adapter.socket_path}"  # type: ignore[attr-defined]  # the SDK's adapter of sockets


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    with team_registry.registry(tmp_path) as address:
        yield address


@pytest.fixture
def reference(hub: str, members: tuple[Member, Member]) -> Iterator[str]:
    """Give the name of the team's image, which both forget afterwards."""
    name = f"{hub}/team/hello-{secrets.token_hex(4)}:1"
    yield name
    for member in members:
        forget(member, name)


def forget(member: Member, name: str) -> None:
    """Take away every name, and every digest, that a member's images have from the repository of ``name``."""
    repository = pins.repository_of(name)
    for image in member.engine.client.images():
        for each in (*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())):
            if pins.repository_of(each) == repository:
                with contextlib.suppress(NotFound):
                    member.engine.client.remove_image(each, force=True)


def share(ann: Member, bob: Member, reference: str) -> str:
    """Let Ann build, verify, push and lock, and Bob clone what she committed; return the digest."""
    (ann.commands.folder / "hello").write_text("#!/bin/sh\necho hello from the team\n")
    (ann.commands.folder / "team.yaml").write_text(
        f"name: {reference}\nfrom: base\nfiles: {{/opt/team/hello: hello}}\nverify: [/opt/team/hello]\n")
    (ann.commands.folder / ".sbi.yaml").write_text(f"image: {reference}  # the team's\n")
    (ann.commands.folder / ".git").mkdir()
    for words in (["build", "-f", "team.yaml"], ["verify", reference], ["push", reference], ["lock"]):
        done = ann("images", *words)
        assert done.code == 0, done.said
    (digest,) = DIGEST.findall((ann.commands.folder / ".sbi.yaml").read_text())
    shutil.copytree(ann.commands.folder, bob.commands.folder, dirs_exist_ok=True)
    return str(digest)


def tamper(ann: Member, reference: str) -> None:
    """Push another image under the team's tag, as somebody with the registry's password could."""
    archive = context.archive({"Dockerfile": f"FROM {reference}\nCOPY hello /opt/team/hello\n".encode(),
                               "hello": b"#!/bin/sh\necho something else\n"})
    list(ann.engine.images().build(archive, reference, build_args={}, labels={}))
    list(ann.engine.transport().push(reference))


def test_what_one_locks_the_other_pulls_by_its_digest_and_runs(members: tuple[Member, Member], reference: str) -> None:
    ann, bob = members
    digest = share(ann, bob, reference)
    assert bob.engine.images().image(reference) is None
    pulled = bob("images", "pull")
    assert (pulled.code, pulled.out.decode().strip()) == (0, f"{reference.removesuffix(':1')}@{digest}"), pulled.said
    ran = bob(*HELLO)
    assert (ran.code, ran.out) == (0, b"hello from the team\n"), ran.said
    verified = bob("images", "verify", reference)
    assert verified.code == 0, verified.out.decode()
    ours, theirs = (member.engine.images().image(reference) for member in members)
    assert ours
    assert theirs
    assert ours.id == theirs.id


def test_a_tag_that_was_tampered_with_is_refused(members: tuple[Member, Member], reference: str) -> None:
    ann, bob = members
    digest = share(ann, bob, reference)
    tamper(ann, reference)
    # Who has no image yet gets the locked one: the tag is not asked.
    assert bob(*HELLO).out == b"hello from the team\n"
    # Who has taken the other one in, because nothing told them, is told now.
    forget(bob, reference)
    assert bob("images", "pull", reference, SBI_NO_PROJECT="1").code == 0
    other = bob.engine.images().image(reference)
    assert other
    refused = bob(*HELLO)
    assert (refused.code, refused.out) == (125, b"")
    assert digest in refused.said
    assert other.digests[0].rpartition("@")[2] in refused.said
    assert bob("images", "pull").code == 0
    assert bob(*HELLO).out == b"hello from the team\n"
    # Ann's own engine has the tampered image under that name, too.
    assert ann(*HELLO).code == 125


def test_a_file_brings_a_bundled_image_to_a_machine_without_a_registry(members: tuple[Member, Member]) -> None:
    ann, bob = members
    (ann.commands.folder / ".git").mkdir()
    (ann.commands.folder / ".sbi.yaml").write_text("image: base\n")
    assert ann("images", "lock").code == 0
    assert ann("images", "save", "base.tar", "base").code == 0
    shutil.copytree(ann.commands.folder, bob.commands.folder, dirs_exist_ok=True)
    lacking = bob("run", "-l", "sh", "-c", "echo 22")
    assert lacking.code == 125
    assert "sbi images load FILE" in lacking.said
    assert bob("images", "load", "base.tar").code == 0
    os.truncate(bob.commands.folder / "base.tar", 0)
    assert bob("run", "-l", "sh", "-c", "echo 22").out == b"22\n"
