from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping

import pytest

from sandbox_interpreter.errors import ModelNotConfigured, ModelUnavailable
from sandbox_interpreter.models.failures import (
    AnswerCutOff,
    brief,
    cause_of,
    is_transient,
    missing_key,
    server_wait,
    translated,
)
from sandbox_interpreter.models.retry import RetryPolicy


class Failed(Exception):
    """Stands for what litellm raises: a text, a status, and the response's headers."""

    def __init__(self, words: str = "", status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.status_code = status
        self.litellm_response_headers = headers


class TransportError(Exception):
    """Named as httpx names it."""


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(("error", "transient"), [
    (Failed(status=429), True), (Failed(status=408), True), (Failed(status=500), True), (Failed(status=599), True),
    (Failed(status=400), False), (Failed(status=401), False), (Failed(status=404), False),
    (Failed("code: insufficient_quota", 429), False), (Failed("Missing credentials. Pass an api_key", 500), False),
    (Failed("No module named 'boto3'", 500), False), (AnswerCutOff(), True), (TransportError(), True),
    (caused(Failed(status=400), TransportError()), True), (ValueError(), False), (KeyboardInterrupt(), False),
    (GeneratorExit(), False), (ModelUnavailable("down"), False),
])
def test_what_may_pass(error: BaseException, transient: bool) -> None:
    assert is_transient(error) is transient


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"retry-after": "7"}, 7.0), ({"retry-after": "0.5"}, 0.5), ({"retry-after": "-3"}, 0.0), ({}, None), (None, None),
    ({"retry-after": "soon"}, None), ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
])
def test_how_long_the_server_asks_to_wait(headers: Mapping[str, str] | None, seconds: float | None) -> None:
    assert server_wait(Failed(headers=headers)) == seconds


def test_the_server_may_name_a_time() -> None:
    wait = server_wait(Failed(headers={"retry-after": email.utils.formatdate(time.time() + 60, usegmt=True)}))
    assert wait is not None
    assert 50 < wait <= 60


@pytest.mark.parametrize("wrong_by", [-365 * 86400, 365 * 86400])
def test_a_time_that_the_server_names_is_by_its_own_clock(wrong_by: int) -> None:
    there = time.time() + wrong_by
    headers = {"date": email.utils.formatdate(there, usegmt=True),
               "retry-after": email.utils.formatdate(there + 60, usegmt=True)}
    assert server_wait(Failed(headers=headers)) == 60.0


@pytest.mark.parametrize(("error", "words"), [
    (Failed(status=429), "asks for fewer requests"), (Failed(status=503), "failed (status 503)"),
    (TransportError(), "connection to the model broke"), (Failed(status=408), "in time"), (Failed(), "server failed"),
])
def test_in_brief(error: Exception, words: str) -> None:
    assert words in brief(error)


def told(error: Exception, **known: str) -> str:
    return translated(error, model="m", server=None, secrets=known.values()).report()


def test_keys_are_blotted_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "from-the-environment")
    words = told(Failed("bad: passed-in-key, from-the-environment, sk-abcdefgh123456, AIzaSyABCDEFGHIJK", 400),
                 key="passed-in-key")
    assert "bad: …, …, …, …" in words


def test_an_error_that_quotes_a_key_is_not_named_as_the_cause() -> None:
    plain = Failed("bad value", 400)
    assert cause_of(plain, ["passed-in-key"]) is plain
    assert cause_of(caused(Failed("bad value"), Failed("bad: passed-in-key")), ["passed-in-key"]) is None


def test_an_error_is_one_line_without_prefixes_and_not_endless() -> None:
    words = told(Failed("litellm.BadRequestError: OpenAIException - a\nb " + "x" * 999, 400)).splitlines()[0]
    assert ": a b xxx" in words
    assert "Exception" not in words
    assert len(words) < 400


def test_a_missing_package_is_named() -> None:
    error = translated(Failed("No module named 'boto3.session'", 500), model="bedrock/x", server=None, secrets=[])
    assert isinstance(error, ModelNotConfigured)
    assert error.next_step.endswith("pip install boto3")


def test_a_missing_key_names_all_variables_that_would_do() -> None:
    assert "GOOGLE_API_KEY (or GEMINI_API_KEY)" in str(missing_key("m", ["GOOGLE_API_KEY", "GEMINI_API_KEY"]))


def tries(policy: RetryPolicy, *errors: BaseException) -> list[float]:
    """Return the waits before the tries that a policy makes of calls that fail with ``errors`` and then succeed."""
    waits: list[float] = []
    left = list(errors)
    for attempt in policy.tries(is_transient, server_wait, lambda _, seconds: waits.append(seconds)):
        with attempt:
            if left:
                raise left.pop(0)
    return waits


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(attempts=7, first=1, longest=8, sleep=lambda _: None)
    assert tries(policy, *[Failed(status=500)] * 6) == [1, 2, 4, 8, 8, 8]


def test_the_servers_wait_wins_over_the_backoff() -> None:
    policy = RetryPolicy(sleep=lambda _: None)
    assert tries(policy, Failed(status=429, headers={"retry-after": "20"}), Failed(status=429)) == [20, 2]


@pytest.mark.parametrize("error", [
    Failed(status=400), Failed(status=429, headers={"retry-after": "91"}), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_not_worth_another_try_is_raised_at_once(error: BaseException) -> None:
    slept: list[float] = []
    with pytest.raises(type(error)):
        tries(RetryPolicy(sleep=slept.append), error)
    assert slept == []


def test_the_last_error_is_raised_when_tries_are_used_up() -> None:
    slept: list[float] = []
    last = Failed("the last", 500)
    with pytest.raises(Failed, match="the last"):
        tries(RetryPolicy(attempts=3, sleep=slept.append), Failed(status=500), Failed(status=500), last)
    assert slept == [1, 2]
