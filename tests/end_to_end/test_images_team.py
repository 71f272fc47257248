"""A team's own image from its file, as a member builds it."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator

import pytest
from docker.errors import NotFound

from sandbox_interpreter.engines.docker import DockerEngine
from tests.support.sbi_process import Commands


@pytest.fixture
def name(engine: DockerEngine) -> Iterator[str]:
    """Give a name that is taken away from its image afterwards; nothing that was not verified is left either."""
    name = f"registry.example/sbi-test-{secrets.token_hex(4)}:1"
    yield name
    with contextlib.suppress(NotFound):
        engine.client.remove_image(name, force=True)
    give_up = time.monotonic() + 60  # others may build beside this one
    while engine.client.images("sbi-unverified-*"):
        assert time.monotonic() < give_up, "an image that was not verified is left"
        time.sleep(0.2)


def write(sbi: Commands, text: str) -> None:
    (sbi.folder / "team.yaml").write_text(text)


def test_an_image_has_the_files_variables_and_limits_of_its_file(sbi: Commands, name: str) -> None:
    (sbi.folder / "hello").write_text("#!/bin/sh\necho hello from $TEAM\n")
    write(sbi, f"name: {name}\nfrom: base\nfiles: {{/opt/team/hello: hello}}\nenv: {{TEAM: 'us \"$HOME\"'}}\n"
               "policy: {memory: 256m, timeout: 20}\nverify: [test -x /opt/team/hello]\n")
    built = sbi("images", "build", "-f", "team.yaml")
    assert built.code == 0, built.said
    assert "FAIL" not in built.said
    assert "ok    proof" in built.said
    limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
    ran = sbi("run", "--image", name, "-l", "sh", "-c", f"/opt/team/hello; id -u; {limit}; true")
    assert ran.out == b'hello from us "$HOME"\n1000\n268435456\n', ran.said
    assert f"The image {name} limits what runs in it: memory 256m, timeout 20." in ran.said
    verified = json.loads(sbi("images", "verify", name, "--json").out)
    assert verified["ok"] is True
    again = sbi("images", "build", "-f", "team.yaml")
    assert again.said.splitlines()[-1] == f"{name} is up to date"


def test_packages_are_installed_and_the_image_passes_every_check(sbi: Commands, name: str) -> None:
    write(sbi, f"name: {name}\napt: [tree]\npip: [humanize>=4]\n"
               "verify:\n  - tree --version\n  - python3 -c 'import humanize; assert humanize.intword(10**6)'\n")
    built = sbi("images", "build", "-f", "team.yaml")
    assert built.code == 0, built.said
    ran = sbi("run", "--image", name, "-c", "import humanize, pandas; print(humanize.naturalsize(10**6))")
    assert ran.out == b"1.0 MB\n", ran.said


def test_packages_of_node_are_found_by_programs_and_as_commands(sbi: Commands, name: str) -> None:
    write(sbi, f"name: {name}\nfrom: node\nnpm: [is-odd@3, semver]\nverify: [semver 1.2.3]\n")
    built = sbi("images", "build", "-f", "team.yaml")
    assert built.code == 0, built.said
    ran = sbi("run", "--image", name, "-l", "js", "-c", "console.log(require('is-odd')(21))")
    assert ran.out == b"true\n", ran.said
    listed = json.loads(sbi("images", "verify", name, "--json").out)["packages"]
    assert {"is-odd", "semver", "npm"} <= {each["name"] for each in listed if each["kind"] == "npm"}


@pytest.mark.parametrize(("lines", "check"), [
    ("verify: ['false']", "proof"), ("files: {/opt/key: key}", "secrets"), ("megabytes: 1", "size"),
])
def test_an_image_that_does_not_pass_gets_no_name(sbi: Commands, name: str, engine: DockerEngine, lines: str,
                                                  check: str) -> None:
    (sbi.folder / "key").write_text("-----BEGIN PRIVATE KEY-----\n" + "M" * 64 + "\n")
    write(sbi, f"name: {name}\nfrom: base\n{lines}\n")
    built = sbi("images", "build", "-f", "team.yaml")
    assert built.code == 125
    assert f"{name} was built and does not pass: {check}." in built.said
    assert f"FAIL  {check}" in built.said
    assert engine.images().image(name) is None


def test_no_other_image_is_overwritten(sbi: Commands, name: str, engine: DockerEngine) -> None:
    engine.images().tag("sbi-base:0.1.0", name)
    write(sbi, f"name: {name}\nfrom: base\nenv: {{A: b}}\n")
    built = sbi("images", "build", "-f", "team.yaml")
    assert built.code == 2
    assert f"{name} is another image's name" in built.said


def test_a_cloned_file_cannot_reach_out(sbi: Commands, name: str, tmp_path: str) -> None:
    write(sbi, f"name: {name}\napt: ['jq; touch /tmp/pwned']\nfiles: {{/opt/x: ../../etc/passwd}}\n"
               "env: {LD_PRELOAD: /evil.so}\npolicy: {network: full}\n")
    built = sbi("images", "build", "--file", "team.yaml")
    assert (built.code, built.out) == (2, b"")
    assert [f"team.yaml:{place}" in built.said for place in ("2:7", "3:9", "4:7", "5:10")] == [True] * 4
    assert "Traceback" not in built.said


def test_a_build_that_fails_says_why_and_leaves_nothing(sbi: Commands, name: str) -> None:
    write(sbi, f"name: {name}\nfrom: base\napt: [no-such-package-at-all]\n")
    built = sbi("images", "build", "-f", "team.yaml")
    assert built.code == 125
    assert "no-such-package-at-all" in built.said
