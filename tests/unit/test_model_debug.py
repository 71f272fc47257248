from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox_interpreter.models.debug import told


def request(content: Any) -> dict[str, Any]:
    return {"model": "m", "api_key": "sk-1234567890", "messages": [{"role": "user", "content": content}]}


def test_everything_is_shown_but_the_key() -> None:
    shown = json.loads(told(request("Grüße"), []))
    assert shown == {"model": "m", "messages": [{"role": "user", "content": "Grüße"}]}


def test_secrets_and_what_looks_like_a_key_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", 'quoted"secret')
    shown = told(request('a quoted"secret, my-s3cret-value and sk-abcdefghijkl'), ["my-s3cret-value", None])
    assert json.loads(shown)["messages"][0]["content"] == "a …, … and …"


def test_a_picture_is_shown_by_its_beginning() -> None:
    shown = told(request([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000}}]), [])
    assert "data:image/png;base64,AAA" in shown
    assert "… (5022 characters)" in shown
    assert len(shown) < 400


def test_nothing_in_it_is_obeyed_by_a_terminal() -> None:
    text = told(request("\x1b]52;c;AAAA\x07 \x9b31m \u202e\u200b"), [])
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert json.loads(text)["messages"][0]["content"] == "\x1b]52;c;AAAA\x07 \x9b31m \u202e\u200b"


@pytest.mark.parametrize("letter", ["\U000e0001", "\ud800"])
def test_strange_characters_stay_json(letter: str) -> None:
    assert json.loads(told(request(letter), []))["messages"][0]["content"] == letter
