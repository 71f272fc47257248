from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.sessions.redact import Redactor

SECRET = 's3"zq\\et é\n2nd line of it'


def test_a_secret_is_taken_out_wherever_it_stands() -> None:
    redactor = Redactor({"TOKEN": "abcd1234"})
    assert redactor.text("x abcd1234abcd1234 y") == "x [secret TOKEN][secret TOKEN] y"
    assert redactor.data({"a": ["abcd1234", 1, None], "abcd1234": {"b": "no"}}) == {
        "a": ["[secret TOKEN]", 1, None], "[secret TOKEN]": {"b": "no"}}


@pytest.mark.parametrize("written", [SECRET, json.dumps(SECRET), json.dumps(SECRET, ensure_ascii=False), repr(SECRET),
                                     quote(SECRET, safe=""), *SECRET.splitlines()])
def test_a_secret_is_taken_out_however_it_is_written(written: str) -> None:
    shown = Redactor({"TOKEN": SECRET}).text(f"<{written}>")
    assert "[secret TOKEN]" in shown
    for part in ("zq", "2nd"):
        assert part not in shown


def test_a_secret_that_is_a_part_of_another_leaves_nothing_of_it() -> None:
    redactor = Redactor({"SHORT": "abcd", "LONG": "xabcdx"})
    assert redactor.text("xabcdx abcd") == "[secret LONG] [secret SHORT]"


@pytest.mark.parametrize("value", ["", "1", "abc", "    "])
def test_what_hides_nothing_is_left(value: str) -> None:
    assert Redactor({"TOKEN": value}).text(f"1 abc {value}") == f"1 abc {value}"


@pytest.mark.parametrize(("name", "value", "hidden"), [
    ("OPENAI_API_KEY", "sk-1234567890", True), ("github_token", "ghp_1234567", True),
    ("DB_PASSWORD", "hunter2!!", True),
    ("EDITOR", "sk-1234567890", False), ("SHORT_KEY", "abcdefg", False), ("KEYBOARD", "dvorak-intl", False),
])
def test_keys_of_the_environment_are_known_by_their_names(monkeypatch: pytest.MonkeyPatch, name: str, value: str,
                                                          hidden: bool) -> None:
    monkeypatch.setenv(name, value)
    assert (value not in Redactor().text(f"my {value}")) is hidden


def test_a_secret_may_come_later() -> None:
    redactor = Redactor()
    assert redactor.text("later-secret") == "later-secret"
    redactor.add("api_key", "later-secret")
    redactor.add("api_key", None)
    assert redactor.text("later-secret") == "[secret api_key]"
    assert redactor.longest >= len("later-secret")


@given(st.text(min_size=4).filter(lambda text: len(text.strip()) >= 4 and "secret T" not in text), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    shown = Redactor({"T": secret}).text(before + secret + after)
    assert secret not in shown.replace("[secret T]", "\0")
