from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_interpreter import languages
from sandbox_interpreter.catalogue import index
from sandbox_interpreter.errors import ConfigError, UsageError

RECORD = "parent: {parent}\nlanguages: [shell]\ndescription: d\ndemo: d\n"


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(index, "images_folder", lambda: tmp_path)
    index.bundled.cache_clear()
    yield tmp_path
    index.bundled.cache_clear()


def write(folder: Path, name: str, record: str) -> None:
    (folder / name).mkdir()
    (folder / name / "image.yaml").write_text(record)


def test_parents_come_before_their_children(images: Path) -> None:
    write(images, "a", RECORD.format(parent="b"))
    write(images, "b", RECORD.format(parent="c"))
    write(images, "c", RECORD.format(parent="debian:trixie-slim"))
    assert list(index.bundled()) == ["c", "b", "a"]
    assert [image.name for image in index.lineage(index.find("a"))] == ["c", "b", "a"]
    assert [image.name for image in index.lineage(index.find("c"))] == ["c"]


def test_an_image_that_stands_on_itself_is_an_error(images: Path) -> None:
    write(images, "a", RECORD.format(parent="b"))
    write(images, "b", RECORD.format(parent="a"))
    with pytest.raises(ConfigError, match="its own ancestor"):
        index.bundled()


@pytest.mark.parametrize("record", ["", "parent: x\n", "- a\n", "just text"])
def test_a_record_that_lacks_something_is_named(images: Path, record: str) -> None:
    write(images, "a", record)
    with pytest.raises(ConfigError, match=r"a/image\.yaml"):
        index.bundled()


def test_an_installation_without_images_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "images_folder", lambda: tmp_path / "gone")
    index.bundled.cache_clear()
    with pytest.raises(ConfigError, match="missing from this installation"):
        index.bundled()


def test_an_installed_package_carries_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bundled").mkdir()
    monkeypatch.setattr(index, "_PACKAGE", tmp_path)
    assert index.images_folder() == tmp_path / "bundled"
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    copied = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert copied == {"images": "sandbox_interpreter/catalogue/bundled"}


def test_a_bundled_name_resolves_to_its_tag() -> None:
    assert index.resolve("python") == index.find("python").tag
    assert index.find("python").tag.startswith("sbi-python:")


@pytest.mark.parametrize("reference", [
    "debian:trixie-slim", "pythonx", "example.org/a/b@sha256:00", "../images/python", ".", "",
])
def test_anything_else_is_a_reference(reference: str) -> None:
    assert index.resolve(reference) == reference


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'pyton'") as caught:
        index.find("pyton")
    assert "base, " in caught.value.next_step


@pytest.mark.parametrize("name", index.bundled())
def test_every_bundled_image_is_complete(name: str) -> None:
    image = index.find(name)
    assert (image.folder / "Dockerfile").is_file()
    assert image.verify_script.stat().st_mode & 0o111
    assert image.verify_script.read_bytes().startswith(b"#!")
    assert image.description
    assert image.demo
    assert [languages.find(language).name for language in image.languages] == list(image.languages)
