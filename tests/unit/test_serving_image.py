from __future__ import annotations

import pytest

from sandbox_interpreter.catalogue import index


@pytest.mark.parametrize(("language", "image", "served_by"), [
    ("python", "python", "python"), ("shell", "node", "node"), ("sql", "base", "base"), ("javascript", "node", "node"),
    ("javascript", "python", "node"), ("typescript", "base", "node"), ("r", "python", "r"), ("c++", "python", "cpp"),
    ("go", "r", "go"), ("java", "python", "java"), ("ruby", "node", "ruby"),
    ("r", "example.org/anything:1", "example.org/anything:1"),
])
def test_a_language_is_served_by_its_own_image_or_the_smallest_that_has_it(
        language: str, image: str, served_by: str) -> None:
    assert index.serving(language, image) == served_by
