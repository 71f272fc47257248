"""Files that the user names, where somebody else may have put a link."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.tasks import results
from sandbox_interpreter.writing import write_text


def test_a_report_is_written_and_replaces_an_older_one(tmp_path: Path) -> None:
    results.write(tmp_path / "deep" / "r.json", "a longer one", "--json")
    results.write(tmp_path / "deep" / "r.json", "new\ud800", "--json")
    assert (tmp_path / "deep" / "r.json").read_text() == "new?"


def test_a_link_in_the_place_of_a_report_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    (tmp_path / "r.xml").symlink_to("mine")
    with pytest.raises(UsageError, match=r"--junit: .* cannot be written"):
        results.write(tmp_path / "r.xml", "x", "--junit")
    assert (tmp_path / "mine").read_text() == "keep"


def test_the_systems_own_links_are_followed() -> None:
    write_text(Path("/dev/stderr"), "")
