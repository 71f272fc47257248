"""The model seam through litellm, against a real server that speaks the OpenAI streaming protocol."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence

import pytest

from sandbox_interpreter.errors import ModelError, ModelNotConfigured, ModelUnavailable
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.base import BrokenOff, CodeDelta, CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.litellm_model import LiteLLMModel
from sandbox_interpreter.models.retry import RetryPolicy
from tests.support.events import codes, joined, prose
from tests.support.openai_server import (
    OpenAIServer,
    Reply,
    call,
    call_deltas,
    deltas,
    failure,
    raw_call,
    say,
)

QUESTION: list[Message] = [{"role": "user", "type": "message", "content": "Hi."}]
KEY = "sk-verysecretkey123456"
TWO_PRINTS = raw_call("execute", '{"language": "python", "code": "print(1); ', 'print(2)"}')


class Naps:
    """Stands for time.sleep, and remembers for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def naps() -> Naps:
    return Naps()


def model_of(server: OpenAIServer, naps: Naps | None = None, *, tools: bool | None = True, timeout: float = 20.0,
             name: str = "openai/scripted", notices: list[str] | None = None) -> LiteLLMModel:
    return LiteLLMModel(name, api_base=server.url, api_key=KEY, supports_functions=tools, timeout=timeout,
                        retries=RetryPolicy(sleep=naps or Naps()), notify=None if notices is None else notices.append)


def ask(model: LiteLLMModel, messages: Sequence[Message] = QUESTION) -> list[ModelEvent]:
    return list(model.stream(messages, system="Be brief."))


def answer(*replies: Reply, tools: bool = True, naps: Naps | None = None) -> list[ModelEvent]:
    with OpenAIServer(*replies) as server:
        return joined(ask(model_of(server, naps, tools=tools)))


# --- what comes ---


def test_prose_and_usage() -> None:
    assert answer(say("Hel", "lo ", "é😀")) == [TextDelta("Hello é😀")]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_tool_call_is_a_block(size: int) -> None:
    code = 'print("é😀\\n")\nx = {"a": 1}'
    events = answer(call("python", code, text="I print.", size=size))
    assert codes(events) == [("python", code)]
    assert prose(events) == "I print."


def test_code_comes_while_the_call_is_still_being_written() -> None:
    hold = threading.Event()
    with OpenAIServer(TWO_PRINTS.held(hold, at=b"print(2)")) as server:
        events = model_of(server).stream(QUESTION, system="")
        first = next(events)
        hold.set()  # the rest of the answer is not sent before this
        assert first == CodeDelta("python", "print(1); ")
        assert codes([first, *events]) == [("python", "print(1); print(2)")]


@pytest.mark.parametrize("text", ["Hi.\n```python\nprint('é😀')\n```\nIt prints."])
def test_a_fenced_block_in_one_delta_or_many(text: str) -> None:
    for reply in (say(text), say(*text)):
        events = answer(reply, tools=False)
        assert codes(events) == [("python", "print('é😀')")]
        assert prose(events) == "Hi.\n"


def test_a_fenced_block_that_is_not_closed_is_run() -> None:
    assert codes(answer(say("```python\nprint(1)"), tools=False)) == [("python", "print(1)")]


def test_two_calls_are_two_blocks() -> None:
    two = deltas(*call_deltas(0, "execute", '{"language": "python", "code": "1"}'),
                 *call_deltas(1, "execute", '{"language": "shell", "code": "ls"}'), finish="tool_calls")
    assert codes(answer(two)) == [("python", "1"), ("shell", "ls")]


@pytest.mark.parametrize(("name", "arguments"), [
    ("execute", "10+12executeexecute"),
    ("execute", '{"language": "python", "code": "10+12executeexecute"}'),
    ("execute", '{"language": "python", "code": "{\\"language\\": \\"python\\", \\"code\\": \\"10+12\\"}"}'),
    ("execute", 'functions.execute({"language": "python", "code": "10+12"})'),
    ("execute", '{language: "python", code: "10+12"}'),
    ("execute", '{"language": "python", "code": "10+12'),
    ("python", "10+12"),
    ("python", '{"code": "10+12"}'),
])
def test_a_malformed_call_is_run(name: str, arguments: str) -> None:
    assert codes(answer(raw_call(name, *arguments))) == [("python", "10+12")]


@pytest.mark.parametrize(("reply", "tools"), [
    (call("python", "print('é😀')", text="Ünï 😀", size=5), True),
    (say("Ünï 😀\n```pyth", "on\nprint('é😀')\n``", "`"), False),
])
def test_the_bytes_of_the_stream_may_be_cut_anywhere(reply: Reply, tools: bool) -> None:
    whole = answer(reply, tools=tools)
    assert codes(whole) == [("python", "print('é😀')")]
    assert answer(reply.bytewise(), tools=tools) == whole
    start, end = reply.body.index("Ü".encode()), reply.body.index(b'"finish_reason": "')
    positions = [*range(start, start + 40), *range(end - 120, end, 7)]
    with OpenAIServer(*(reply.split(at) for at in positions)) as server:
        model = model_of(server, tools=tools)
        for at in positions:
            assert joined(ask(model)) == whole, f"cut at byte {at}"


# --- what is sent ---


def test_the_request_holds_the_conversation_the_tool_and_the_settings() -> None:
    with OpenAIServer(say("Hi.")) as server:
        model = LiteLLMModel("openai/scripted", temperature=0.3, api_base=server.url, api_key=KEY, max_tokens=99,
                             supports_functions=True)
        ask(model)
        body, headers = server.requests[0], server.headers[0]
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("scripted", 0.3, 99)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["execute"]
    assert body["parallel_tool_calls"] is False
    assert headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(("name", "tools"), [("openai/gpt-4o", True), ("openai/unheard-of", False)])
def test_litellm_says_whether_a_model_takes_tools(name: str, tools: bool) -> None:
    with OpenAIServer(say("Hi.")) as server:
        ask(model_of(server, tools=None, name=name))
        assert ("tools" in server.requests[0]) == tools
        assert ("fenced block" in server.requests[0]["messages"][0]["content"]) != tools


def test_the_next_request_pairs_the_call_with_its_output() -> None:
    messages: list[Message] = [
        *QUESTION, {"role": "assistant", "type": "code", "format": "python", "content": "1+1"},
        {"role": "computer", "type": "console", "format": "output", "content": "2\n"}]
    with OpenAIServer(say("Two.")) as server:
        ask(model_of(server), messages)
        _, _, asked, told = server.requests[0]["messages"]
    assert json.loads(asked["tool_calls"][0]["function"]["arguments"]) == {"language": "python", "code": "1+1"}
    assert (told["tool_call_id"], told["content"]) == (asked["tool_calls"][0]["id"], "2")


# --- what goes wrong, and passes ---


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_a_failure_that_may_pass_is_tried_again_in_silence(status: int, naps: Naps) -> None:
    assert answer(failure(status), failure(status), say("Hi."), naps=naps) == [TextDelta("Hi.")]
    assert naps.seconds == [1.0, 2.0]


def test_the_server_says_how_long_to_wait(naps: Naps) -> None:
    replies = failure(429, headers={"Retry-After": "7"}), failure(503, headers={"Retry-After": "0.5"}), say("Hi.")
    assert prose(answer(*replies, naps=naps)) == "Hi."
    assert naps.seconds == [7.0, 0.5]


def test_a_wait_is_told() -> None:
    notices: list[str] = []
    with OpenAIServer(failure(429, headers={"Retry-After": "7"}), say("Hi.")) as server:
        ask(model_of(server, notices=notices))
    assert notices == ["The model's server asks for fewer requests; trying again in 7 s."]


def test_a_connection_that_drops_before_anything_was_shown_is_tried_again_in_silence() -> None:
    assert answer(say("Hi.").dropped(0), say("Hi.")) == [TextDelta("Hi.")]


def test_a_connection_that_drops_behind_shown_text_is_tried_again_but_not_unsaid() -> None:
    events = answer(say("Hello", " you").dropped(before=b" you"), say("Hello you"))
    assert events[:3] == [TextDelta("Hello"),
                          BrokenOff("The connection to the model broke; the answer begins again.", again=True),
                          TextDelta("Hello you")]


def test_a_block_in_which_the_connection_drops_never_ends() -> None:
    events = answer(TWO_PRINTS.dropped(before=b"print(2)"), call("python", "print(3)"))
    assert codes(events) == [("python", "print(3)")]
    assert any(isinstance(event, BrokenOff) for event in events)


@pytest.mark.parametrize(("reply", "tools"), [
    (TWO_PRINTS, True), (say("```python\nprint(1)\n", "print(2)"), False)])
def test_a_block_is_not_whole_where_the_server_just_stops(reply: Reply, tools: bool) -> None:
    silent_end = Reply(reply.body[:reply.body.index(b"print(2)")].rpartition(b"data: ")[0], headers=reply.headers)
    events = answer(silent_end, say("Sorry."), tools=tools)
    assert codes(events) == []
    assert prose(events).endswith("Sorry.")


@pytest.mark.parametrize(("reply", "tools"), [
    (raw_call("execute", '{"language": "python", "code": "rm(', finish="length"), True),
    (say("```python\nrm(", finish="length"), False)])
def test_a_block_that_reaches_the_limit_of_tokens_never_ends(reply: Reply, tools: bool) -> None:
    events = answer(reply, tools=tools)
    assert events == [
        CodeDelta("python", "rm("), BrokenOff("The answer reached its limit of tokens.", again=False)]
    assert CodeEnd() not in events


def test_hanging_up_closes_the_connection() -> None:
    hold = threading.Event()
    with OpenAIServer(say("Hi", " there").held(hold, at=b" there")) as server:
        events = model_of(server).stream(QUESTION, system="")
        assert next(events) == TextDelta("Hi")
        events.close()
        assert server.hung_up.wait(5)


# --- what goes wrong, and stays so ---


def error_of(*replies: Reply, naps: Naps | None = None, timeout: float = 20.0) -> tuple[ModelError, int]:
    with OpenAIServer(*replies) as server:
        with pytest.raises(ModelError) as caught:
            ask(model_of(server, naps, timeout=timeout))
        return caught.value, len(server.requests)


@pytest.mark.parametrize(("reply", "kind", "requests", "says"), [
    (failure(500, "boom"), ModelUnavailable, 5, "failed (status 500)"),
    (failure(429, "slow down"), ModelUnavailable, 5, "fewer requests"),
    (say("Hi.").dropped(0), ModelUnavailable, 5, "connection to the model broke"),
    (Reply(b"<html>", headers={"Content-Type": "text/html"}), ModelUnavailable, 5, "answered with nothing"),
    (failure(429, "You exceeded your current quota", code="insufficient_quota"), ModelUnavailable, 1, "no credit"),
    (failure(429, headers={"Retry-After": "3600"}), ModelUnavailable, 1, "fewer requests"),
    (failure(401, f"Incorrect API key provided: {KEY}"), ModelNotConfigured, 1, "key for model"),
    (failure(403, "Not allowed"), ModelNotConfigured, 1, "key for model"),
    (failure(404, "The model `scripted` does not exist"), ModelNotConfigured, 1, "no model 'openai/scripted'"),
    (failure(400, "Bad value"), ModelUnavailable, 1, "Bad value"),
    (failure(400, "This model's maximum context length is 10 tokens"), ModelUnavailable, 1, "reads 10 tokens"),
])
def test_a_clear_error(reply: Reply, kind: type[ModelError], requests: int, says: str) -> None:
    error, asked = error_of(*[reply] * 5)
    assert type(error) is kind
    assert says in str(error)
    assert error.next_step
    assert asked == requests
    assert KEY not in error.report()
    assert KEY not in "".join(traceback.format_exception(error))
    assert "litellm" not in str(error)


def test_a_server_that_is_not_there(naps: Naps) -> None:
    model = LiteLLMModel("openai/any", api_base="http://127.0.0.1:9/v1", retries=RetryPolicy(attempts=2, sleep=naps))
    with pytest.raises(ModelUnavailable, match=r"cannot be reached at http://127\.0\.0\.1:9/v1"):
        ask(model)
    assert naps.seconds == [1.0]


def test_a_server_that_does_not_answer_in_time(naps: Naps) -> None:
    hold = threading.Event()
    with OpenAIServer(*[say("Hi.").held(hold, at=b"data")] * 2) as server:
        model = LiteLLMModel("openai/any", api_base=server.url, timeout=0.3,
                             retries=RetryPolicy(attempts=2, sleep=naps))
        with pytest.raises(ModelUnavailable, match="in time"):
            ask(model)
        assert len(server.requests) == 2


def test_the_last_error_is_raised_when_the_connection_drops_each_time() -> None:
    with OpenAIServer(*[say("Hello", " you").dropped(before=b" you")] * 5) as server:
        seen: list[ModelEvent] = []
        with pytest.raises(ModelUnavailable):  # noqa: PT012  # what came before the error is asserted below
            for event in model_of(server).stream(QUESTION, system=""):
                seen.append(event)  # noqa: PERF402  # extend would lose them
    assert prose(seen) == "Hello" * 5
    assert sum(isinstance(event, BrokenOff) for event in seen) == 4  # behind the last, the error says it


def test_a_missing_key_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelNotConfigured, match="OPENAI_API_KEY") as caught:
        ask(LiteLLMModel("openai/gpt-4o"))
    assert "export OPENAI_API_KEY" in caught.value.next_step


def test_a_name_that_is_no_model() -> None:
    with pytest.raises(ModelNotConfigured, match="no model 'nonsense'") as caught:
        ask(LiteLLMModel("nonsense"))
    assert "openai/" in caught.value.next_step


# --- manners ---

QUIET = """
import sys, warnings
warnings.simplefilter("default")
warnings.simplefilter("ignore", ResourceWarning)  # litellm leaves an event loop to the end of the process
from sandbox_interpreter.models.litellm_model import LiteLLMModel
assert "litellm" not in sys.modules
model = LiteLLMModel("openai/gpt-4o", api_base=sys.argv[1], api_key="k")
model.prepare()
for _ in range(2):
    try:
        list(model.stream([{"role": "user", "type": "message", "content": "Hi."}], system=""))
    except Exception as error:
        assert "fewer" in str(error) or "refused" in str(error), error
"""


def test_nothing_is_printed_and_no_dotenv_file_is_read(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("project")
    (folder / ".env").write_text("OPENAI_BASE_URL=http://127.0.0.1:9\n")
    with OpenAIServer(call("python", "1"), failure(400, "refused")) as server:
        result = subprocess.run([sys.executable, "-c", QUIET, server.url], capture_output=True, text=True, timeout=60,
                                cwd=folder)
        assert len(server.requests) == 2
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
