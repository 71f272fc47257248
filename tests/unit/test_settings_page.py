"""docs/settings.md says of every setting what the source says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_interpreter import config
from sandbox_interpreter.config import describe, sources
from sandbox_interpreter.config.settings import FIELDS, GROUPS

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_lists_every_setting_as_the_source_explains_it() -> None:
    page = PAGE.read_text("utf-8")
    assert page.endswith(f"\n{describe.tables().strip()}\n"), f"{PAGE} must end with:\n{describe.tables().strip()}"


def test_every_setting_is_explained() -> None:
    explained = describe.explanations()
    assert list(explained) == list(FIELDS)
    assert all(text.endswith(".") and "\n" not in text for text in explained.values())


def test_groups_begin_with_settings() -> None:
    assert set(GROUPS) <= set(FIELDS)
    assert next(iter(FIELDS)) in GROUPS


def test_the_example_file_of_the_page_is_right(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8").partition("## The file\n")[2].partition("\nYAML")[0]
    file = tmp_path / "example.yaml"
    file.write_text("\n".join(line.removeprefix("    ") for line in text.splitlines()))
    source = sources.file(file)
    assert source.problems == []
    assert source.found["env"].value == ("LANG=C.UTF-8", "TZ=UTC")
    assert len(source.found) == 5


@pytest.mark.parametrize("line", [line.strip() for line in PAGE.read_text("utf-8").splitlines()
                                  if line.startswith("    ") and "  # " in line])
def test_a_line_that_show_prints_is_a_line_of_a_file(line: str, tmp_path: Path) -> None:
    (tmp_path / "line.yaml").write_text(line)
    assert config.resolve(file=tmp_path / "line.yaml").settings != config.Settings() or "default" in line
