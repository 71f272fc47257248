"""The behaviours that users of the seed are promised, by number (tests/seed_contract.py): real server and container."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from sandbox_interpreter.errors import BudgetReached, ModelUnavailable
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.models.debug import told
from sandbox_interpreter.prompts import system_prompt
from sandbox_interpreter.sessions import log, store
from sandbox_interpreter.sessions.history import restore
from tests.support.chats import chat, codes, outputs, point
from tests.support.openai_server import OpenAIServer, Reply, call, failure, raw_call, say
from tests.support.pictures import base64_png

NOW = {"Retry-After": "0"}
BLOCK = "text = '''\n  ``` python\n'''\nprint(len(text.strip()))"


@pytest.mark.parametrize("size", [10_000, 1, 2, 3])
def test_behaviour_01_a_fenced_block_in_one_delta_or_split_at_any_character_is_the_same_code(
        interpreter: Interpreter, size: int) -> None:
    answer = f"I count.\n\n````python\n{BLOCK}\n````\n"
    reply = say(*(answer[at:at + size] for at in range(0, len(answer), size)))
    messages, _ = chat(interpreter, reply, say("Ten."), tools=False)
    assert codes(messages) == [BLOCK]
    assert outputs(messages) == ["10\n"]


@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize("code", ["python = 'python'\nprint(python)", "print('c++ is no python')"])
def test_behaviour_02_code_with_its_languages_name_and_backticks_in_prose_are_unchanged(
        interpreter: Interpreter, code: str, tools: bool) -> None:
    prose = "Now `python` and ``c++`` and `x = 1`:"
    reply = call("python", code, text=prose) if tools else say(*f"{prose}\n```python\n{code}\n```\n")
    messages, _ = chat(interpreter, reply, say("Done."), tools=tools)
    assert messages[1]["content"].rstrip("\n") == prose
    assert codes(messages) == [code]
    assert "python" in outputs(messages)[0]


@pytest.mark.parametrize(("reply", "tools"), [
    (call("python", "10+12"), True),
    (say("Sum:\n```python\n10+12\n```"), False),
    (say(*"Sum:\n```python\n10+12\n```\nIt is 22."), False),
    (say("```py\n10+12"), False),
    (say('```python\n{"language": "python", "code": "10+12"}\n```'), False),
    (raw_call("execute", "10+12executeexecute"), True),
    (raw_call("execute", '{"language": "python", "code": "10+12executeexecute"}'), True),
    (raw_call("execute", '{"language": "python", "code": "{\\"language\\": \\"python\\", \\"code\\": \\"10+12\\"}"}'),
     True),
    (raw_call("execute", '{"language":"python","code":"10+12"}', '{"language":"python","code":"10+12"}'), True),
    (raw_call("execute", 'functions.execute({"language": "python", "code": "10+12"})'), True),
    (raw_call("execute", '{language: "python", code: "10+12"}'), True),
    (say(*'functions.execute({"language": "python", "code": "10+12"})'), True),
    (say(*'functions.execute({"language": "python", "code": "10+12"})'), False),
    (say(*'{"name": "execute", "arguments": {"language": "python", "code": "10+12"}}'), True),
])
def test_behaviour_03_malformed_calls_run_as_they_were_meant(
        interpreter: Interpreter, reply: Reply, tools: bool) -> None:
    messages, requests = chat(interpreter, reply, say("22."), tools=tools)
    assert outputs(messages) == ["22\n"]
    assert "22" in requests[1]["messages"][-1]["content"]
    assert messages[-1]["content"] == "22."


@pytest.mark.parametrize("arguments", ["10+12", '{"code": "10+12"}', '{"language": "python", "code": "10+12"}'])
def test_behaviour_04_a_tool_call_named_python_is_run(interpreter: Interpreter, arguments: str) -> None:
    messages, _ = chat(interpreter, raw_call("python", arguments), say("22."))
    assert outputs(messages) == ["22\n"]


def test_behaviour_05_an_unknown_language_is_told_to_the_model_and_the_loop_goes_on(interpreter: Interpreter) -> None:
    messages, requests = chat(interpreter, call("klingon", "x"), call("python", "1"), say("Done."))
    assert "Unknown language 'klingon'" in requests[1]["messages"][-1]["content"]
    assert outputs(messages)[1] == "1\n"


def test_behaviour_05_the_same_failing_block_three_times_stops_the_loop_which_says_why(
        interpreter: Interpreter) -> None:
    messages, requests = chat(interpreter, *[call("python", "1/0")] * 6)
    assert len(requests) == 3
    assert messages[-1]["content"] == "Stopped: the same block failed 3 times in a row."


def test_behaviour_06_state_and_files_last_also_after_the_messages_are_cleared(interpreter: Interpreter) -> None:
    chat(interpreter, call("python", "x = 2; open('kept.txt', 'w').write('here')"), call("shell", "y=3; cd /tmp"),
         say("Set."))
    interpreter.messages = []
    messages, _ = chat(interpreter, call("python", "x"), call("python", "open('kept.txt').read()"),
                       call("shell", "echo $y in $PWD"), say("So."))
    assert outputs(messages) == ["2\n", "'here'\n", "3 in /tmp\n"]


def test_behaviour_07_increments_arrive_separately(interpreter: Interpreter) -> None:
    with OpenAIServer(call("python", "import time\nprint('a')\ntime.sleep(0.6)\nprint('b')"), say("Done.")) as server:
        point(interpreter, server)
        times = {chunk["content"].strip(): time.monotonic() for chunk in interpreter.chat("Go.", False, stream=True)
                 if chunk["type"] == "console" and isinstance(chunk.get("content"), str)}
    assert 0.4 < times["b"] - times["a"] < 5


def test_behaviour_08_abandoning_a_stream_stops_the_loop_in_the_sandbox_and_saves_the_history(
        interpreter: Interpreter) -> None:
    loop = "import time\nfor n in range(100):\n    print(n, flush=True)\n    time.sleep(1)"
    with OpenAIServer(call("python", loop), call("python", "n"), say("It stopped.")) as server:
        point(interpreter, server)
        for chunk in interpreter.chat("Go.", display=False, stream=True):
            if str(chunk.get("content")).strip() == "1":
                break
        assert outputs(interpreter.messages) == ["0\n1\n"]
        kept = restore(log.read(store.find("last").events).entries).messages
        assert kept == interpreter.messages
        assert [message["type"] for message in kept] == ["message", "code", "console"]
        messages = interpreter.chat("Did it stop?", display=False)
        roles = [entry["role"] for entry in server.requests[1]["messages"]]
    assert outputs(messages)[1] == "1\n"
    assert roles == ["system", "user", "assistant", "tool", "user"]


def test_behaviour_09_four_interpreters_leak_nothing_into_each_other() -> None:
    interpreters = [Interpreter(auto_run=False, system_message=f"You are number {number}.") for number in range(4)]
    for number, each in enumerate(interpreters):
        _, requests = chat(each, say(f"I am {number}."), prompt=f"Who are you, {number}?")
        sent = json.dumps(requests)
        assert [f"number {other}." in sent for other in range(4)] == [other == number for other in range(4)]
    for number, each in enumerate(interpreters):
        assert [message["content"] for message in each.messages] == [f"Who are you, {number}?", f"I am {number}."]
        each.close()


def test_behaviour_10_a_plot_is_one_picture(interpreter: Interpreter) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"
    messages, requests = chat(interpreter, call("python", code), say("There."))
    pictures = [message for message in messages if message["type"] == "image"]
    assert [picture["format"] for picture in pictures] == ["base64.png"]
    assert base64.b64decode(pictures[0]["content"]).startswith(b"\x89PNG")
    assert "a picture (png)" in requests[1]["messages"][-1]["content"]


def test_behaviour_11_of_a_long_output_the_model_sees_head_and_tail_and_the_user_all(interpreter: Interpreter) -> None:
    interpreter.max_output = 100
    messages, requests = chat(interpreter, call("python", "print('a' * 5000 + 'z' * 5000)"), say("Long."))
    assert outputs(messages) == ["a" * 5000 + "z" * 5000 + "\n"]
    seen = requests[1]["messages"][-1]["content"]
    assert seen.startswith("a" * 50 + "\n[…")
    assert "9900 of 10000 characters are left out" in seen
    assert seen.endswith("…]\n" + "z" * 50)


@pytest.mark.parametrize("failures", [
    [failure(429, headers=NOW)], [failure(500, headers=NOW)] * 3, [say("lost").dropped(0)],
])
def test_behaviour_12_a_failed_call_is_tried_again(interpreter: Interpreter, failures: list[Reply]) -> None:
    messages, requests = chat(interpreter, *failures, say("Here."))
    assert [message["content"] for message in messages] == ["Go.", "Here."]
    assert len(requests) == len(failures) + 1


@pytest.mark.parametrize("broken", [failure(429, headers=NOW), failure(500, headers=NOW)])
def test_behaviour_12_at_last_there_is_a_clear_error_and_the_conversation_is_intact(
        interpreter: Interpreter, broken: Reply) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        chat(interpreter, call("python", "x = 5"), *[broken] * 5)
    assert caught.value.next_step
    assert [message["type"] for message in interpreter.messages] == ["message", "code", "console"]
    messages, requests = chat(interpreter, call("python", "x"), say("Five."))
    assert [entry["role"] for entry in requests[0]["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert outputs(messages)[-1] == "5\n"


def test_behaviour_13_the_budget_stops_before_the_next_call_and_says_the_sum(interpreter: Interpreter) -> None:
    with OpenAIServer(call("python", "print('word ' * 3000)"), say("Never.")) as server:
        point(interpreter, server)
        interpreter.model, interpreter.max_budget = "openai/gpt-4.1", interpreter.ledger.cost + 0.002
        with pytest.raises(BudgetReached, match=r"The budget of \$0\.\d+ is reached: \$0\.\d+ are spent"):
            interpreter.chat("Go.", display=False)
        assert len(server.requests) == 1
    assert [message["type"] for message in interpreter.messages] == ["message", "code", "console"]


@pytest.mark.parametrize(("said", "words"), [
    ("明日の天気を調べて、グラフを描いて", "明日の天気を調べて"), ("🎉🎉 party 🎉", "party"),
    ("a/b/../../etc/passwd\0", "a-b"),
    ("長い文" * 500, "長い文"), ("x" * 5000, "xxx"), ("../..", ""), ("CON: <>|?*\"\n\r", "con"),
])
def test_behaviour_14_names_of_history_files_are_valid_unique_and_readable(said: str, words: str) -> None:
    for _ in range(2):
        with Interpreter() as one:
            chat(one, say("Yes."), prompt=said)
    first, second = (session.folder for session in store.every())
    assert first != second
    for folder in (first, second):
        assert words in folder.name.lower()
        assert len(folder.name.encode()) < 255
        assert folder.name.isprintable()


def test_behaviour_15_pictures_and_long_outputs_push_neither_system_message_nor_the_last_user_message_out(
        interpreter: Interpreter) -> None:
    turn: list[dict[str, Any]] = [
        {"role": "user", "content": "old words " * 50},
        {"role": "assistant", "type": "code", "format": "python", "content": "show()"},
        {"role": "computer", "type": "console", "format": "output", "content": "long output " * 2000},
        {"role": "computer", "type": "image", "format": "base64.png", "content": base64_png(400, 300)}]
    with OpenAIServer(say("Seen.")) as server:
        point(interpreter, server)
        interpreter.context_window, interpreter.max_tokens, interpreter.vision = 9000, 500, True
        interpreter.chat([*turn * 30, {"role": "user", "content": "What was the LAST question?"}, *turn[1:] * 3],
                         display=False)
        [request] = server.requests
    entries = request["messages"]
    assert entries[0] == {"role": "system", "content": system_prompt(interpreter.settings)}
    assert any("What was the LAST question?" in json.dumps(entry) for entry in entries)
    assert len(told(request, [])) < 9000 * 5  # bytes of a token, at the most
