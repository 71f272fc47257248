"""Each check of `sbi images verify` against an image that is bad in exactly that one way."""

from __future__ import annotations

import json
import subprocess

import pytest

from sandbox_interpreter.catalogue import context
from sandbox_interpreter.catalogue.index import BundledImage
from sandbox_interpreter.catalogue.labels import (
    LANGUAGES_LABEL,
    MEGABYTES_LABEL,
    NAME_LABEL,
    PARENT_LABEL,
    VERIFY_LABEL,
)
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.errors import ImageMissing
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.verification import verify
from sandbox_interpreter.verification.behaviour import QUESTIONS
from sandbox_interpreter.verification.subject import Outcome
from tests.support.runs import run

TOKEN = "ghp_" + "a1B2" * 10
ROOT = "USER root\nRUN {}\nUSER 1000:1000"


@pytest.fixture
def reference(throwaway: BundledImage) -> str:
    """Give a name that is taken away from its image afterwards."""
    return throwaway.tag


def make(store: ImageStore, reference: str, lines: str, **labels: str) -> None:
    archive = context.archive({"Dockerfile": f"FROM sbi-base:0.1.0\n{lines}\n".encode()})
    list(store.build(archive, reference, build_args={}, labels=labels))


def outcomes(reference: str, engine: DockerEngine) -> dict[str, Outcome]:
    with verify.examine(reference, engine) as subject:
        return {each.name: each.outcome for each in verify.results(subject)}


@pytest.mark.parametrize(("check", "lines", "said"), [
    ("user", "USER root", "it starts as root (USER root)"),
    ("user", "USER 00:1000", "it starts as root"),
    ("setuid", ROOT.format("cp /bin/true /usr/local/bin/up && chmod u+s /usr/local/bin/up"), "/usr/local/bin/up"),
    ("setuid", ROOT.format("mkdir -m 700 /root/x && cp /bin/true /root/x/up && chmod g+s /root/x/up"), "/root/x/up"),
    ("writable", ROOT.format("touch /etc/open && chmod 666 /etc/open"), "anybody may write to /etc/open"),
    ("writable", ROOT.format("mkdir /opt/open && chmod 777 /opt/open"), "/opt/open"),
    ("caches", ROOT.format("echo x >/var/lib/apt/lists/deb.debian.example_Packages"), "/var/lib/apt/lists/deb.debian"),
    ("caches", ROOT.format("mkdir -p /root/.cache/pip && echo x >/root/.cache/pip/wheel"), "/root/.cache/pip/wheel"),
    ("secrets", "ENV API_TOKEN=hunter2", "the variable API_TOKEN holds a value that its name calls secret"),
    ("secrets", f"ENV GREETING={TOKEN}", "the variable GREETING holds a GitHub token"),
    ("secrets", "RUN true https://me:hunter2@index.example/simple", "of the history holds an address with a password"),
    ("secrets", ROOT.format(f"echo {TOKEN[:20]}''{TOKEN[20:]} >/opt/t") + "\nUSER root\nRUN rm /opt/t\nUSER 1000:1000",
     "/opt/t holds a GitHub token"),
    ("base", f"LABEL {PARENT_LABEL}=sbi-base:latest", "names no image by its digest"),
    ("size", f"LABEL {MEGABYTES_LABEL}=100", "MB of 100 MB"),
    ("proof", f"LABEL {VERIFY_LABEL}='[\"echo so far >&2\", \"ls /nowhere\"]'", "it ended with 2: ls: cannot access"),
    ("proof", f"LABEL {VERIFY_LABEL}='nonsense'", "it ended with 1"),
    ("languages", f"LABEL {LANGUAGES_LABEL}=python,shell\n" + ROOT.format("mv /bin/bash /bin/hash"), "in shell"),
    ("packages", ROOT.format("rm -r /var/lib/dpkg"), "dpkg lists no package"),
    ("packages", ROOT.format("d=/usr/lib/python3/dist-packages/o.dist-info; mkdir -p $d; echo Name: odd >$d/METADATA"),
     "without a version: odd"),
], ids=lambda text: text if text.isalpha() else "")
def test_a_bad_image_fails_that_check_and_no_other(check: str, lines: str, said: str, reference: str,
                                                   store: ImageStore, engine: DockerEngine) -> None:
    make(store, reference, lines)
    found = outcomes(reference, engine)
    assert {name for name, outcome in found.items() if outcome.state != "ok"} == {check}
    assert said in found[check].detail
    assert TOKEN not in str(found)
    assert "hunter2" not in str(found)


def test_an_image_without_python_fails_where_the_agent_should_answer(reference: str, store: ImageStore,
                                                                     engine: DockerEngine) -> None:
    make(store, reference, ROOT.format("rm /usr/bin/python3"))
    found = outcomes(reference, engine)
    assert {name for name, outcome in found.items() if outcome.state != "ok"} == {"agent"}
    assert list(found)[-1] == "agent"  # what needs one is left out


def test_an_old_runtime_is_a_warning_and_no_failure(reference: str, store: ImageStore, engine: DockerEngine) -> None:
    make(store, reference, ROOT.format("printf '#!/bin/sh\\necho v16.20.2\\n' >/usr/local/bin/node "
                                       "&& chmod +x /usr/local/bin/node"))
    found = outcomes(reference, engine)
    assert {outcome.state for name, outcome in found.items() if name != "runtimes"} == {"ok"}
    assert found["runtimes"].state == "warning"
    assert found["runtimes"].detail.startswith("node 16.20.2: not mended since 2023-09-11 (")


def test_a_good_image_of_somebodys_own_passes(reference: str, store: ImageStore, engine: DockerEngine) -> None:
    make(store, reference, f"LABEL {VERIFY_LABEL}='[\"true\", \"echo ok: one\"]' {NAME_LABEL}=own")
    found = outcomes(reference, engine)
    assert {outcome.state for outcome in found.values()} == {"ok"}
    assert found["proof"].detail == "1 proofs"
    assert list(found) == [check.name for check in verify.CHECKS]


def test_an_image_that_is_not_here_is_named_with_what_brings_it(engine: DockerEngine) -> None:
    with pytest.raises(ImageMissing, match=r"'example\.invalid/x:1' is not present") as caught, \
            verify.examine("example.invalid/x:1", engine):
        pass
    assert caught.value.next_step == "Run: sbi images pull example.invalid/x:1"


def test_the_packages_are_those_that_their_managers_list(engine: DockerEngine) -> None:
    with verify.examine("python", engine) as subject:
        packages = subject.inventory.packages
    with Sandbox("python", engine=engine) as box:
        debian = run(box, "shell", "dpkg-query -W -f '${Package}=${Version}\\n'").stdout.split()
        python = json.loads(run(box, "shell", "pip list --format json --disable-pip-version-check").stdout)
    assert sorted(debian) == sorted(f"{each.name}={each.version}" for each in packages if each.kind == "deb")
    assert {(each["name"], each["version"]) for each in python} <= {
        (each.name, each.version) for each in packages if each.kind == "pypi"}


def test_there_is_a_question_for_every_language() -> None:
    from sandbox_interpreter.languages import LANGUAGES

    assert {language.name for language in LANGUAGES} <= set(QUESTIONS)


def test_verifying_leaves_no_container(engine: DockerEngine, reference: str, store: ImageStore) -> None:
    make(store, reference, "CMD true")
    outcomes(reference, engine)
    info = store.image(reference)
    assert info
    done = subprocess.run(["docker", "ps", "-aq", "--filter", f"ancestor={info.id}"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
