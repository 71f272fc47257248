"""A team's file: what it may say, what a stranger would wish to say, and what is built from it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox_interpreter.errors import ConfigError, TransferError
from sandbox_interpreter.recipes import derive, reader
from sandbox_interpreter.recipes.record import NAME, PACKAGES, Recipe, check_target, check_variable

GOOD = """\
name: registry.example/team/python:1
from: python
apt: [jq, "tree=2.2.1-1", g++]
pip:
  - polars>=1.30,<2
  - httpx[http2]==0.28.1
files:
  /opt/team/settings.toml: settings.toml
env: {TZ: Europe/Zurich, GREETING: 'say "$HOME" \\ and so on'}
policy: {memory: 512m, network: none}
verify: [python -c "import polars"]
megabytes: 900
"""


def write(folder: Path, text: str) -> Path:
    (folder / "team.yaml").write_text(text)
    return folder / "team.yaml"


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        reader.read(write(folder, text))
    return f"{caught.value}\n{caught.value.next_step}"


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    recipe = reader.read(write(tmp_path, GOOD))
    assert recipe == Recipe(
        "registry.example/team/python:1", "python", apt=("jq", "tree=2.2.1-1", "g++"),
        pip=("polars>=1.30,<2", "httpx[http2]==0.28.1"), files={"/opt/team/settings.toml": "settings.toml"},
        env={"TZ": "Europe/Zurich", "GREETING": 'say "$HOME" \\ and so on'},
        policy={"memory": "512m", "network": "none"}, verify=('python -c "import polars"',), megabytes=900)


@pytest.mark.parametrize(("text", "place", "hint"), [
    ("nmae: a.example/b\n", "1:1: unknown key 'nmae'", "Did you mean 'name'?"),
    ("name: a.example/b\nfrom: pyton\n", "2:7: from: There is no bundled image 'pyton'", "python"),
    ("name: a.example/b\npolicy: {memroy: 1g}\n", "2:10: unknown key 'memroy'", ""),
    ("name: a.example/b\npolicy: {memory: much}\n", "2:10: policy: memory:", ""),
    ("name: a.example/b\nenv: {A: }\n", "2:9: here must be a text", ""),
    ("name: a.example/b\nfrom: base\npip: [x]\n", "3:6: pip: the image 'base' has no pip", "from:"),
    ("name: a.example/b\nnpm: [x]\n", "2:6: npm: the image 'python' has no npm", "from:"),
    ("name: a.example/b\nname: a.example/c\n", "2:1: 'name' stands here a second time", ""),
    ("name: a.example/b\nmegabytes: many\n", "2:12: megabytes:", ""),
    ("from: base\n", "1:1: `name:` is missing", "registry.example"), ("[]\n", "1:1:", ""), ("", "1:1:", ""),
    ("name: [\n", "2:1:", ""), ("name: &a x\nfrom: *a\n", "2:7: aliases", ""),
])
def test_a_mistake_is_told_with_line_column_and_what_was_meant(text: str, place: str, hint: str,
                                                              tmp_path: Path) -> None:
    said = refused(tmp_path, text)
    assert f"team.yaml:{place}" in said
    assert hint in said


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, "name: nowhere\nfrom: pyton\napt: [a;b, c]\nenv: {PATH: /evil}\n")
    assert [part in said for part in ("1:7", "2:7", "3:7", "4:7")] == [True] * 4


@pytest.mark.parametrize(("kind", "words"), [
    ("apt", ["jq; curl evil", "$(id)", "-o=Dpkg::Pre-Invoke::=id", "--allow-unauthenticated", "bash-", "./evil.deb",
             "a b", "a\nb", "Jq", "/tmp/x.deb", "jq/unstable", "jq*", "j`id`q", "ｊq"]),
    ("pip", ["--index-url=http://evil.example", "-r /etc/passwd", "evil @ https://evil.example/x.whl", "./evil", "../x",
             "git+https://evil.example/x", "a\n--pre", "a; python_version>'3'", "a --hash=x", "/tmp/x.whl", "a b"]),
    ("npm", ["--registry=http://evil.example", "evil@https://evil.example/x.tgz", "github:evil/x", "evil/x", "./x",
             "a b", "file:../x", "x@npm:evil", "a;b", "-g", "a\nb", "x@file:/etc"]),
])
def test_no_package_is_an_option_an_address_a_path_or_a_command(kind: str, words: list[str]) -> None:
    for word in words:
        with pytest.raises(ValueError, match="is not a package"):
            PACKAGES[kind].check(word)


@pytest.mark.parametrize(("kind", "words"), [
    ("apt", ["jq", "g++", "libstdc++6", "python3.13-venv", "jq=1.7.1-6+deb13u1", "r-base=4.5.0-1:1~x"]),
    ("pip", ["requests", "Django>=5,<6", "a[b,c]~=1.2", "ruamel.yaml", "x!=1.*", "x == 1.0+cpu"]),
    ("npm", ["typescript", "@types/node", "@types/node@24", "lodash@^4.17.0", "is.js@latest"]),
])
def test_the_usual_packages_are_taken(kind: str, words: list[str]) -> None:
    assert [PACKAGES[kind].check(word) for word in words] == words


@pytest.mark.parametrize("name", [
    "python", "sbi-python:0.1.0", "debian:trixie-slim", "team/x", "-x.example/a", "x.example/A",
    "x.example/a@sha256:00", "x.example/../a", "x.example/a b", "x.example/", ""])
def test_an_image_has_a_name_with_a_registry_of_ones_own(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name like"):
        NAME.check(name)


@pytest.mark.parametrize("name", [
    "registry.example/team/python:1", "localhost/a", "localhost:5000/a", "127.0.0.1:5000/t/a:1",
    "hub:5000/team/a_b-c.d:v1.0"])
def test_such_names_are_taken(name: str) -> None:
    assert NAME.check(name) == name


@pytest.mark.parametrize("target", [
    "/etc/passwd", "/usr/bin/python3", "opt/x", "/opt/../etc/passwd", "/opt/venv/bin/python3", "/opt/venv",
    "/usr/local/share/ca-certificates/evil.crt", "/opt/a\nb", "/opt//x", "/"])
def test_a_file_goes_nowhere_but_to_its_places(target: str) -> None:
    with pytest.raises((ValueError, TransferError)):
        check_target(target)


@pytest.mark.parametrize("name", [
    "PATH", "LD_PRELOAD", "ld_preload", "PYTHONPATH", "BASH_ENV", "NODE_OPTIONS", "https_proxy", "SSL_CERT_FILE",
    "PIP_INDEX_URL", "HOME", "A B", "A=B", "1A", "GIT_SSH_COMMAND"])
def test_a_variable_that_decides_what_runs_stays_as_it_is(name: str) -> None:
    with pytest.raises(ValueError, match=r"decides|variable's name"):
        check_variable(name, "x")


def test_a_secret_in_the_environment_is_refused_and_not_repeated(tmp_path: Path) -> None:
    said = refused(tmp_path, "name: a.example/b\nenv:\n  DB_PASSWORD: hunter2\n")
    assert "team.yaml:3:3: env: DB_PASSWORD holds" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("line", [
    "policy: {network: full}", "policy: {network: evil.example}", "policy: {runtime: runc}",
    "policy: {env: [A=b]}",
    "policy: {access: rw}", "policy: {tmp: 64g}"])
def test_nothing_widens_the_policy(line: str, tmp_path: Path) -> None:
    assert "team.yaml:2:10" in refused(tmp_path, f"name: a.example/b\n{line}\n")


def test_the_dockerfile_holds_no_word_of_the_file_but_quoted_variables(tmp_path: Path) -> None:
    text = derive.dockerfile(reader.read(write(tmp_path, GOOD)))
    assert "polars" not in text
    assert "jq" not in text
    assert "settings" not in text
    assert r'ENV GREETING="say \"\$HOME\" \\ and so on"' in text.splitlines()
    assert text.endswith("USER 1000:1000\n")
    assert "--only-binary :all:" in text


def test_a_file_without_packages_needs_no_stage() -> None:
    assert derive.dockerfile(Recipe("a.example/b", "base", env={"A": "b"})) == (
        'ARG PARENT\nFROM ${PARENT}\nENV A="b"\nUSER 1000:1000\n')


def test_files_and_folders_are_copied_from_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "deep" / "x").write_text("1")
    (tmp_path / "run").write_text("#!/bin/sh\n")
    recipe = Recipe("a.example/b", files={"/opt/team/data": "data", "/opt/team/run": "./run"})
    found = derive.files(recipe, tmp_path / "team.yaml")
    assert {name: data for name, data in found.items() if name.startswith("files")} == {
        "files/opt/team/data/deep/x": b"1", "files/opt/team/run": b"#!/bin/sh\n"}


@pytest.mark.parametrize("source", ["../secret", "/etc/passwd", "~/.ssh/id_rsa", "a/../../secret"])
def test_no_path_leaves_the_folder(source: str, tmp_path: Path) -> None:
    said = refused(tmp_path, f"name: a.example/b\nfiles:\n  /opt/x: {source}\n")
    assert "leads out of this file's folder" in said


@pytest.mark.parametrize("kind", ["file", "folder", "on the way", "fifo", "gone"])
def test_no_link_leads_out_of_the_folder(kind: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    clone = tmp_path / "clone"
    clone.mkdir()
    source = "x"
    if kind == "file":
        (clone / "x").symlink_to("../outside/secret")
    elif kind == "folder":
        (clone / "x").symlink_to("../outside")
    elif kind == "on the way":
        (clone / "d").symlink_to("../outside")
        source = "d/secret"
    elif kind == "fifo":
        os.mkfifo(clone / "x")
    with pytest.raises(ConfigError, match="cannot be copied"):
        derive.files(Recipe("a.example/b", files={"/opt/x": source}), clone / "team.yaml")


def test_a_file_that_is_a_link_is_no_teams_file(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(GOOD)
    (tmp_path / "team.yaml").symlink_to("other.yaml")
    with pytest.raises(ConfigError, match="symbolic link"):
        reader.read(tmp_path / "team.yaml")


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big").write_bytes(b"x" * 2000)
    monkeypatch.setattr(derive, "_MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match="more than"):
        derive.files(Recipe("a.example/b", files={"/opt/x": "big"}), tmp_path / "team.yaml")
