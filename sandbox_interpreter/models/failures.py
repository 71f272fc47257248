"""What went wrong in a call to a model: whether it may pass, how long to wait, and what to tell the user.

Providers word and number their failures differently, and litellm maps them with varying luck (a missing key and a
missing Python package arrive as status 500). So each is judged by its text where that is plain, then by its status.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from sandbox_interpreter.errors import ModelError, ModelNotConfigured, ModelUnavailable

_TRANSIENT_STATUS = {408, 409, 425, 429}
_NO_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota|credit balance|payment required", re.I)
_NO_KEY = re.compile(r"missing credentials|api[_ ]key\b.{0,40}(?:not set|missing|must be set)|no api key", re.I)
_NO_SUCH_MODEL = re.compile(r"LLM Provider NOT provided|\bmodel\b.{0,80}(?:not exist|not found)|unknown model", re.I)
_NO_PACKAGE = re.compile(r"No module named '?([\w.]+)")
_TOO_LONG = re.compile(r"ContextWindowExceeded|context (?:window|size|length)|prompt is too long", re.I)
# OpenAI and vLLM: "maximum context length is 8192 tokens"; Anthropic: "prompt is too long: 210000 tokens > 200000
# maximum"; llama.cpp: "exceeds the available context size (4096 tokens)".
_WINDOW = re.compile(r"maximum context length (?:is|of) (\d[\d,]+)|tokens > (\d[\d,]+) maximum"
                     r"|context (?:size|length|window)\D{0,30}?(\d[\d,]+)", re.I)
_NO_ADDRESS = re.compile(r"image from URL|Image URL download is disabled|Image url not in expected format", re.I)

_MODEL_EXAMPLES = "Name a model as litellm does: -m openai/gpt-4o, -m anthropic/claude-sonnet-4-5, -m ollama/llama3.1"


class AnswerCutOff(Exception):
    """The server ended the answer before it was whole, without saying so."""


class NothingCame(AnswerCutOff):
    """The server sent nothing that is an answer: it is no model's server, as a rule."""


def is_transient(error: BaseException) -> bool:
    """Tell whether the same call may succeed a little later."""
    if not isinstance(error, Exception) or isinstance(error, ModelError):
        return False
    text = str(error)
    if any(lasting.search(text) for lasting in (_NO_QUOTA, _NO_KEY, _NO_PACKAGE, _TOO_LONG, _NO_ADDRESS)):
        return False
    if isinstance(error, AnswerCutOff) or _is_of(error, "TransportError", "APIConnectionError"):
        return True
    status = _status(error)
    return status is not None and (status >= 500 or status in _TRANSIENT_STATUS)


def is_too_long(error: BaseException) -> bool:
    """Tell whether the server refused a request because the model cannot read so much."""
    return not isinstance(error, ModelError) and _TOO_LONG.search(f"{type(error).__name__}: {error}") is not None


def is_about_picture_address(error: BaseException) -> bool:
    """Tell whether a picture's address cannot be passed on: litellm would have to fetch it, and is kept from that."""
    return _is_of(error, "ImageFetchError") or _NO_ADDRESS.search(str(error)) is not None


def told_window(error: BaseException) -> int | None:
    """Return how many tokens the model reads, where a refusal of the request says so."""
    match = _WINDOW.search(str(error))
    return int(next(filter(None, match.groups())).replace(",", "")) if match else None


def server_wait(error: BaseException) -> float | None:
    """Return the seconds that the server asked to wait, from Retry-After (RFC 9110, 10.2.3); None where it did not."""
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
    value = str(headers.get("retry-after") or "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - _clock_of(headers), 0.0)
    except ValueError:
        return None


def _clock_of(headers: Mapping[str, Any]) -> float:
    """Return the time by the server's own clock, which its answer tells; else by ours, which may be set wrong."""
    try:
        return parsedate_to_datetime(str(headers.get("date") or "")).timestamp()
    except ValueError:
        return time.time()


def brief(error: BaseException) -> str:
    """Return what happened, in words that begin a sentence."""
    status = _status(error)
    if status == 429:
        return "The model's server asks for fewer requests"
    if status == 408 or _is_of(error, "TimeoutException", "Timeout"):
        return "The model's server did not answer in time"
    if _is_of(error, "ConnectError"):
        return "The model's server cannot be reached"
    if isinstance(error, AnswerCutOff) or _is_of(error, "TransportError", "APIConnectionError"):
        return "The connection to the model broke"
    return f"The model's server failed (status {status})" if status else "The model's server failed"


def translated(error: Exception, *, model: str, server: str | None, secrets: Iterable[str | None]) -> ModelError:
    """Return the error to raise for what litellm raised. It holds no key, though providers quote them.

    ``server`` is the address that was asked, if one was configured; ``secrets`` are keys known to be in use.
    """
    status, text, said = _status(error), str(error), _told(error, secrets)
    where = f" at {server}" if server else ""
    if package := _NO_PACKAGE.search(text):
        return ModelNotConfigured(f"Model {model!r} needs the Python package {package[1]!r}.",
                                  next_step=f"Install it beside this program: pip install {package[1].split('.')[0]}")
    if _NO_QUOTA.search(text) or status == 402:
        return ModelUnavailable(f"The account for model {model!r} has no credit left: {said}",
                                next_step="Add credit with the provider, or choose another model: -m MODEL")
    if status in (401, 403) or _NO_KEY.search(text):
        return ModelNotConfigured(f"The key for model {model!r}{where} was refused or is missing: {said}",
                                  next_step="Set the provider's variable, such as OPENAI_API_KEY, or choose: -m MODEL")
    if _TOO_LONG.search(text):
        return ModelUnavailable(f"The conversation is longer than model {model!r} can read.",
                                next_step="Begin a new one: %reset, or reset() in Python.")
    if status == 404 or _NO_SUCH_MODEL.search(text):
        return ModelNotConfigured(f"There is no model {model!r}{where}: {said}", next_step=_MODEL_EXAMPLES)
    if isinstance(error, NothingCame):
        return ModelUnavailable(f"Model {model!r}{where} answered with nothing.",
                                next_step="Is the address right? It ends in /v1 as a rule: --api-base URL")
    if is_transient(error):
        return ModelUnavailable(f"{brief(error)}{where}, also when tried again: {said}",
                                next_step="The conversation is kept; send it again in a while, or see: sbi doctor")
    return ModelUnavailable(f"Model {model!r}{where} refused the request: {said}",
                            next_step="Choose another model: -m MODEL")


def missing_key(model: str, names: Iterable[str]) -> ModelNotConfigured:
    """Return the error for a model whose key is in none of these environment variables."""
    first, *others = names
    either = f" (or {', '.join(others)})" if others else ""
    return ModelNotConfigured(f"Model {model!r} needs a key, and {first}{either} is not set.",
                              next_step=f"Set it: export {first}=…, or try without a key: -m demo")


# --- what an error says ---

_PREFIX = re.compile(r"^(?:litellm\.)?\w*(?:Error|Exception|Timeout)\b[:\s-]*")
_KEY_SHAPE = re.compile(r"\b(?:sk|pk|rk|gsk|xai|hf|r8|AIza)[-_]?[\w*-]{8,}")
_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD)$")
_LONGEST = 300


def _told(error: BaseException, secrets: Iterable[str | None]) -> str:
    """Return what the error says: one line, without litellm's prefixes, keys blotted out."""
    text = " ".join(str(error).split()).partition(" Original exception: ")[0]
    while prefix := _PREFIX.match(text):
        text = text[prefix.end():]
    text = without_keys(text, secrets)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def cause_of(error: Exception, secrets: Iterable[str | None]) -> Exception | None:
    """Return ``error`` for the one raised in its place to name as its cause; None if that would show a key."""
    texts = [str(each) for each in _chain(error)]
    return error if texts == [without_keys(text, secrets) for text in texts] else None


def without_keys(text: str, secrets: Iterable[str | None]) -> str:
    """Return ``text`` with ``secrets``, the keys in this process's environment, and what looks like a key left out."""
    known = [value for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    for secret in (*secrets, *known):
        if secret and len(secret) >= 8:  # shorter ones are words such as "none"
            text = text.replace(secret, "…")
    return _KEY_SHAPE.sub("…", text)


def _status(error: BaseException) -> int | None:
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _is_of(error: BaseException, *names: str) -> bool:
    """Tell whether the error, or one that it was raised from, is of a class with one of these names.

    By name, so that judging an error imports neither httpx nor litellm.
    """
    return any(kind.__name__ in names for each in _chain(error) for kind in type(each).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, what it was raised from, what that was raised from, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
