from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox_interpreter.catalogue import context, index
from sandbox_interpreter.catalogue.index import BundledImage


@pytest.fixture
def image(tmp_path: Path) -> BundledImage:
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / "verify").write_text("#!/bin/sh\n")
    (tmp_path / "image.yaml").write_text("name: x\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "tool").write_text("#!/bin/sh\necho\n")
    return BundledImage("x", "debian:trixie-slim", ("shell",), "d", "d", tmp_path)


def test_the_context_has_all_but_the_record_and_the_proof(image: BundledImage) -> None:
    assert sorted(context.files(image.folder)) == ["Dockerfile", "sub/tool"]


@pytest.mark.parametrize(("name", "changes"), [
    ("Dockerfile", True), ("sub/tool", True), ("verify", False), ("image.yaml", False),
])
def test_the_digest_changes_with_the_files_that_are_built_from(image: BundledImage, name: str, changes: bool) -> None:
    before = context.digest(image)
    (image.folder / name).write_text("#!/bin/sh\nother\n")
    assert (context.digest(image) != before) is changes


def test_a_new_name_for_the_same_bytes_changes_the_digest(image: BundledImage) -> None:
    before = context.digest(image)
    (image.folder / "sub" / "tool").rename(image.folder / "sub" / "tool2")
    assert context.digest(image) != before


def test_the_digest_covers_the_parents_files(image: BundledImage) -> None:
    alone = context.digest(image)
    assert context.digest(replace(image, parent="base")) != alone
    assert context.digest(index.find("python")) != context.digest(index.find("base"))


def test_archives_of_equal_files_are_equal_whatever_their_times_and_modes(image: BundledImage) -> None:
    first = context.archive(context.files(image.folder)).read()
    (image.folder / "sub" / "tool").touch()
    (image.folder / "sub" / "tool").chmod(0o600)
    assert context.archive(context.files(image.folder)).read() == first


def test_scripts_are_executable_in_the_archive(image: BundledImage) -> None:
    with tarfile.open(fileobj=context.archive(context.files(image.folder))) as tar:
        modes = {entry.name: entry.mode for entry in tar}
    assert modes == {"Dockerfile": 0o644, "sub/tool": 0o755}
