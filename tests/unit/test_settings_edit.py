"""A settings file that sbi changes: what a person wrote in it stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_interpreter.config import edit
from sandbox_interpreter.errors import ConfigError

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
REF = "registry.example:5000/team/python:1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".sbi.yaml"


@pytest.mark.parametrize(("before", "after"), [
    ("", f"lock:\n  python: {A}\n"),
    ("# ours\nimage: python  # yes\n", f"# ours\nimage: python  # yes\nlock:\n  python: {A}\n"),
    ("image: python", f"image: python\nlock:\n  python: {A}\n"),
    (f"lock:  # digests\n  # of today\n  python: {B}  # old\n\nmemory: 1g\n",
     f"lock:  # digests\n  # of today\n  python: {A}  # old\n\nmemory: 1g\n"),
    (f"lock:\n    r: {B}   # r\n# end\n", f"lock:\n    r: {B}   # r\n    python: {A}\n# end\n"),
    (f"lock: {{r: {B}}}\nmemory: 1g\n", f"lock:\n  r: {B}\n  python: {A}\nmemory: 1g\n"),
    ("lock: {}\n", f"lock:\n  python: {A}\n"),
    ("lock:\nmemory: 1g\n", f"lock:\n  python: {A}\nmemory: 1g\n"),
    (f"lock:\n  python: '{B}'\n  r: {B}", f"lock:\n  python: {A}\n  r: {B}"),
])
def test_a_digest_is_written_and_all_else_stays(before: str, after: str, file: Path) -> None:
    file.write_text(before)
    assert edit.merge(file, "lock", {"python": A}) == file.read_bytes()
    assert file.read_text() == after
    edit.merge(file, "lock", {"python": A})
    assert file.read_text() == after


def test_references_are_quoted_and_found_again(file: Path) -> None:
    edit.merge(file, "lock", {REF: A, "python": A})
    edit.merge(file, "lock", {REF: B})
    assert file.read_text() == f'lock:\n  "{REF}": {B}\n  python: {A}\n'


def test_the_files_permissions_stay(file: Path) -> None:
    file.write_text("image: base\n")
    file.chmod(0o600)
    edit.merge(file, "lock", {"python": A})
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "\x00", "lock: [python]\nlock: x\n"])
def test_what_is_no_settings_file_is_left_alone(text: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError):
        edit.merge(file, "lock", {"python": A})
    assert file.read_text() == text


def test_a_link_is_not_followed(file: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("image: base\n")
    file.symlink_to(tmp_path / "target")
    with pytest.raises(ConfigError, match="symbolic link"):
        edit.merge(file, "lock", {"python": A})
    assert (tmp_path / "target").read_text() == "image: base\n"


def test_a_folder_that_nobody_may_write_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot write"):
        edit.merge(tmp_path / "gone" / ".sbi.yaml", "lock", {"python": A})
