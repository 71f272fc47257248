"""Which names a pattern asks for."""

from __future__ import annotations

import pytest

from sandbox_interpreter.agent import globs


@pytest.mark.parametrize(("pattern", "name", "wanted"), [
    ("*", "a", True), ("*", "a/b", False), ("a/*", "a/b", True), ("**", "a", True), ("**", "a/b/c", True),
    ("**/c", "c", True), ("**/c", "a/b/c", True), ("**/c", "a/b/cc", False), ("a/**", "a/b/c", True),
    ("a/**", "a", False), ("a/**/c", "a/c", True), ("a/**/c", "a/b/b/c", True), ("a/**/c", "b/c", False),
    ("**/**", "a", True), ("a/**/**", "a", False), ("a/b", "a", False), ("a", "a/b", False), ("**/b/**", "a/b", False),
    ("**/b/**", "a/b/c", True), ("?[xy]", "ax", True),
])
def test_a_pattern_asks_for_names_as_glob_does(pattern: str, name: str, wanted: bool) -> None:
    assert globs.matches(pattern, name) is wanted


def test_many_ways_to_match_are_not_tried_one_after_the_other() -> None:
    assert not globs.matches("**/a/" * 20 + "b", "a/" * 200 + "c")
