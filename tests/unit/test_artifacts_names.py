from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.errors import TransferError, UsageError
from sandbox_interpreter.sandbox.names import asks_for, check_name, check_pattern, matches

odd_text = st.text(st.one_of(st.sampled_from("./\\\0\n~*-"), st.characters()), max_size=30)


@given(odd_text)
def test_a_name_that_passes_stays_below_its_folder(name: str) -> None:
    try:
        parts = check_name(name)
    except TransferError:
        return
    assert "/".join(parts) == name
    assert os.path.normpath(f"/root/{name}") == f"/root/{name}"
    assert Path("/root", name).parts[:2] == ("/", "root")
    assert name.isprintable() or not any(letter in "\0\n\r\x1b" for letter in name)


@pytest.mark.parametrize(("pattern", "plain"), [
    ("*.png", "*.png"), ("./a//b/*.png", "a/b/*.png"), ("/workspace/out/**", "out/**"), ("a/../b", "b"), ("**", "**"),
    ("a b", "a b"), ("..a", "..a"), ("-x", "-x"),
])
def test_a_pattern_takes_its_plain_form(pattern: str, plain: str) -> None:
    assert check_pattern(pattern) == plain


@pytest.mark.parametrize("pattern", ["", ".", "./", "..", "../x", "a/../../x", "/etc/passwd", "/workspace", "/",
                                     "/workspace/../etc/passwd", "/workspace2/x", "a\0b", "//workspace/x"])
def test_a_pattern_that_leads_elsewhere_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="does not name files in /workspace"):
        check_pattern(pattern)


@pytest.mark.parametrize(("pattern", "name", "asked"), [
    ("*.png", "a.png", True), ("*.png", "d/a.png", False), ("*", "d/a", False), ("*", ".hidden", True),
    ("d/*.png", "d/a.png", True), ("d/*.png", "d/e/a.png", False), ("d/*.png", "e/a.png", False),
    ("**", "a", True), ("**", "a/b/c", True), ("**/*.png", "a.png", True), ("**/*.png", "d/e/a.png", True),
    ("d/**", "d/a", True), ("d/**", "e/a", False), ("d/**/x", "d/x", True), ("d/**/x", "d/1/2/x", True),
    ("d/**/x", "d/1/2/y", False), ("a", "a", True), ("a", "a/b", False), ("a/b", "a", False), ("?", "é", True),
    ("[ab].c", "a.c", True), ("[ab].c", "c.c", False), ("[!b]x", "ax", True), ("a", ".git/hooks/pre-commit", False),
])
def test_a_pattern_asks_for_what_glob_would_find(pattern: str, name: str, asked: bool) -> None:
    assert matches(pattern, name) is asked


@pytest.mark.parametrize(("pattern", "name", "asked"), [
    ("*", "a.png", True), ("**", "d/a", True), ("*", ".hidden", False), ("**", ".git/config", False),
    ("**/*", "d/.git/hooks/pre-commit", False), ("**/config", ".git/config", False), ("*/config", ".git/config", False),
    (".*", ".hidden", True), (".git/config", ".git/config", True), ("**/.coverage", "d/.coverage", True),
    (".git/**", ".git/config", True), (".venv/**", ".venv/.git/config", False), ("[.]git/config", ".git/config", False),
])
def test_what_begins_with_a_dot_has_to_be_asked_for(pattern: str, name: str, asked: bool) -> None:
    assert asks_for(pattern, name) is asked
