"""The pages of the documentation hang together: index, links, the Japanese page, the tables made from the source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox_interpreter.config import seed, sources
from tests.support.documented import PAGES, ROOT, blocks, commands

ENGLISH, JAPANESE = PAGES["README.md"], PAGES["docs/README_JA.md"]


def prose(page: Path) -> str:
    """Return a page without what stands in fences."""
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """Return the names of a page's headings, as they stand in links."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_the_page_leads_somewhere(name: str) -> None:
    page = PAGES[name]
    for target in links(page):
        if re.match(r"https?://(localhost|127\.0\.0\.1)", target):
            continue
        assert not re.match(r"\w+:", target), f"{target} is on another host"
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", [ENGLISH, JAPANESE])
def test_the_readme_lists_every_page(page: Path) -> None:
    listed = {(page.parent / target).resolve() for target in links(page)}
    assert {each for name, each in PAGES.items() if each not in (ENGLISH, JAPANESE)} <= listed


@pytest.mark.parametrize("name", PAGES)
def test_the_page_opens_with_what_one_gets(name: str) -> None:
    title, blank, first, *_ = PAGES[name].read_text("utf-8").split("\n")
    assert re.match(r"# \S", title)
    assert not blank
    assert first
    assert not first.startswith(("#", "|", "```"))


def test_the_japanese_readme_has_the_shape_of_the_english_one() -> None:
    english, japanese = prose(ENGLISH), prose(JAPANESE)
    for mark in (r"^#+ ", r"^- ", r"^\| "):
        assert len(re.findall(mark, japanese, re.MULTILINE)) == len(re.findall(mark, english, re.MULTILINE)), mark
    there = {(ENGLISH.parent / target).resolve() for target in links(ENGLISH)} - {JAPANESE}
    assert {(JAPANESE.parent / target).resolve() for target in links(JAPANESE)} - {ENGLISH} == there


def test_the_japanese_readme_has_the_commands_and_code_of_the_english_one() -> None:
    def bare(text: str) -> str:
        return re.sub(r'"[^"]*"', '""', text)  # what is said to a model is translated

    assert [bare(each) for each in commands(JAPANESE)] == [bare(each) for each in commands(ENGLISH)]
    assert [bare(each) for each in blocks(JAPANESE, "python")] == [bare(each) for each in blocks(ENGLISH, "python")]


def test_migrating_tells_of_every_key_of_open_interpreter() -> None:
    rows = re.findall(r"^\| (.*) \| (.*) \|$", PAGES["docs/migrating.md"].read_text("utf-8"), re.MULTILINE)
    told = {(key, what.strip("`")) for keys, what in rows for key in re.findall(r"`([^`]+)`", keys)}
    assert {*seed.OURS.items(), *seed.ELSEWHERE.items(), ("computer", seed.instead("computer"))} <= told


@pytest.mark.parametrize("text", blocks(PAGES["docs/offline.md"], "yaml"))
def test_the_settings_for_a_machine_without_a_network_are_settings(text: str, tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    assert sources.file(tmp_path / "settings.yaml").problems == []
