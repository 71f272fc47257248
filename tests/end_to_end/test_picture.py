"""The picture of README.md shows what sbi still shows: the session is held again, and its words are compared."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from docs.pictures import make
from tests.support.documented import PAGES


def answer(svg: str) -> list[str]:
    """Return the words that stand behind the prompt."""
    words = list(make.words(svg))
    prompt = make.PROMPT.split()
    start = next(at for at in range(len(words)) if words[at:at + len(prompt)] == prompt)
    return words[start + len(prompt):]


def test_a_session_held_now_shows_the_words_of_the_picture() -> None:
    shown = answer(make.draw(make.record()))
    assert "Bergen" in shown
    assert shown == answer(make.PICTURE.read_text("utf-8")), "make picture records it anew"


def test_the_picture_is_whole_and_fetches_nothing() -> None:
    picture = ET.fromstring(make.PICTURE.read_text("utf-8"))
    assert picture.tag.endswith("svg")
    addresses = [value for element in picture.iter() for name, value in element.items() if name.endswith("href")]
    assert [address.partition(",")[0] for address in addresses] == ["data:image/png;base64"]
    assert "url(http" not in make.PICTURE.read_text("utf-8")


@pytest.mark.parametrize(("page", "path"), [("README.md", "docs/pictures/session.svg"),
                                            ("docs/README_JA.md", "pictures/session.svg")])
def test_the_page_shows_it_and_says_in_words_what_is_on_it(page: str, path: str) -> None:
    [said] = re.findall(rf"!\[([^\]]*)\]\({re.escape(path)}\)", PAGES[page].read_text("utf-8"))
    assert len(said) > 20
