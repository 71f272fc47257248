from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_interpreter.catalogue import bootstrap, mirrors
from sandbox_interpreter.catalogue.mirrors import Mirrors
from sandbox_interpreter.errors import BuildFailed, EngineError, ImageMissing
from tests.support.image_store import MemoryStore

# What `apt-get indextargets` prints for the fields that mirrors.py asks for.
UPDATED = """\
http://mirror.example/debian/|bookworm|main|Debian|Debian
http://mirror.example/debian/|bookworm-updates|main|Debian|Debian
http://security.example/debian-security/|bookworm-security|main|Debian|Debian-Security
https://packages.example/linux/debian/|bookworm|stable|Vendor|Vendor CE
https://node.example/node_20.x/|nodistro|main|. nodistro|. nodistro
"""
NEVER_UPDATED = """\
https://packages.example/tool/|bookworm|main|$(ORIGIN)|$(LABEL)
http://mirror.example/debian/|bookworm|main|$(ORIGIN)|$(LABEL)
http://mirror.example/debian/|bookworm|contrib|$(ORIGIN)|$(LABEL)
"""


def test_the_debian_mirror_is_told_from_other_archives() -> None:
    chosen = mirrors.choose(mirrors.parse(UPDATED))
    assert chosen == Mirrors("http://mirror.example/debian/", "http://security.example/debian-security/")


def test_a_host_that_never_updated_still_has_a_mirror() -> None:
    assert mirrors.choose(mirrors.parse(NEVER_UPDATED)) == Mirrors("http://mirror.example/debian/", None)


def test_what_apt_has_fetched_counts_more_than_what_is_configured() -> None:
    listing = "http://guess.example/debian/|trixie|main|$(ORIGIN)|$(LABEL)\n" + UPDATED
    assert mirrors.choose(mirrors.parse(listing)).archive == "http://mirror.example/debian/"


def test_old_security_suites_are_known() -> None:
    listing = "http://m.example/debian|buster|main|Debian|Debian\nhttp://s.example/|buster/updates|main|Debian|Debian\n"
    assert mirrors.choose(mirrors.parse(listing)).security == "http://s.example/"


def test_a_mirror_list_stands_for_its_first_entry(tmp_path: Path) -> None:
    entries = tmp_path / "debian.list"
    entries.write_text("https://near.example/debian\tpriority:1\nhttps://far.example/debian\tpriority:2\n")
    listing = f"mirror+file:{entries}/|trixie|main|$(ORIGIN)|$(LABEL)\n"
    assert mirrors.choose(mirrors.parse(listing)).archive == "https://near.example/debian"


@pytest.mark.parametrize("listing", [
    "", "nonsense\n", "cdrom:[Debian]/|trixie|main|Debian|Debian\n",
    "mirror+file:/nonexistent/|trixie|main|Debian|Debian\n",
    "http://archive.example/ubuntu/|noble|main|Ubuntu|Ubuntu\n", "http://m.example/debian/|trixie-updates|main|Debian|Debian\n",
])
def test_a_host_without_a_debian_mirror_is_told_what_to_do(listing: str) -> None:
    with pytest.raises(EngineError, match="no Debian mirror") as caught:
        mirrors.choose(mirrors.parse(listing))
    assert "docker load" in caught.value.next_step


def test_the_sources_of_a_suite_include_security_where_the_host_does() -> None:
    assert Mirrors("http://m.example/debian/", "http://s.example/").lines("trixie") == [
        "deb http://m.example/debian/ trixie main", "deb http://s.example/ trixie-security main"]
    assert Mirrors("http://m.example/debian/", None).lines("trixie") == ["deb http://m.example/debian/ trixie main"]


def test_the_command_leaves_documentation_out_but_keeps_licences() -> None:
    words = bootstrap.command("trixie", Path("/x.tar"), Mirrors("http://m.example/", None), None)
    assert "--variant=minbase" in words
    assert words.index("--dpkgopt=path-exclude=/usr/share/doc/*") < words.index(
        "--dpkgopt=path-include=/usr/share/doc/*/copyright")
    assert words[-3:] == ["trixie", "/x.tar", "deb http://m.example/ trixie main"]


def test_certificates_for_the_mirror_are_taken_out_of_the_result() -> None:
    words = bootstrap.command("trixie", Path("/x.tar"), Mirrors("https://m.example/", None), Path("/ca.crt"))
    [added] = [word for word in words if word.startswith("--setup-hook=")]
    [removed] = [word for word in words if word.startswith("--customize-hook=")]
    assert 'CaInfo "/ca.crt"' in added
    assert removed.endswith(added.rpartition(">")[2])


@pytest.mark.parametrize(("reference", "suite"), [
    ("debian:trixie-slim", "trixie"), ("debian:trixie", None), ("debian", None), ("ubuntu:noble-slim", None),
    ("example.org/debian:trixie-slim", None),
])
def test_only_a_slim_debian_can_be_bootstrapped(reference: str, suite: str | None) -> None:
    assert bootstrap.suite_of(reference) == suite


class TestProvide:
    def test_an_image_that_is_present_is_taken(self) -> None:
        store = MemoryStore()
        store.add("debian:trixie-slim")
        assert list(bootstrap.provide("debian:trixie-slim", store)) == []
        assert store.asked_registry == []

    def test_an_image_that_a_registry_has_is_pulled(self) -> None:
        store = MemoryStore(in_registry={"debian:trixie-slim"})
        list(bootstrap.provide("debian:trixie-slim", store))
        assert store.image("debian:trixie-slim")
        assert store.imported == []

    def test_an_image_that_none_has_is_made(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        use_tool(monkeypatch, tmp_path, "echo I: working; exit 0")
        store = MemoryStore()
        steps = list(bootstrap.provide("debian:trixie-slim", store))
        assert store.imported == ["debian:trixie-slim"]
        assert any("I: working" in step.text and step.total for step in steps)

    def test_a_tool_that_fails_is_quoted(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        use_tool(monkeypatch, tmp_path, "echo E: no such suite; exit 25")
        with pytest.raises(BuildFailed, match="no such suite"):
            list(bootstrap.provide("debian:trixie-slim", MemoryStore()))

    def test_without_the_tool_the_error_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        with pytest.raises(EngineError) as caught:
            list(bootstrap.provide("debian:trixie-slim", MemoryStore()))
        assert caught.value.next_step == "Install it: apt-get install mmdebstrap"

    def test_anything_else_that_cannot_be_pulled_is_missing(self) -> None:
        with pytest.raises(ImageMissing):
            list(bootstrap.provide("example.org/x:1", MemoryStore()))


def use_tool(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """Put a stand-in for mmdebstrap on the PATH, and a mirror into apt's mouth."""
    tool = folder / "mmdebstrap"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(mirrors, "host_mirrors", lambda: Mirrors("http://m.example/", None))
