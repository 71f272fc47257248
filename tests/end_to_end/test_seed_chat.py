"""What the seed's Python callers are promised of ``chat`` and its messages, row by row (tests/seed_contract.py)."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.approval import Approval
from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.messages import Chunk, fold
from sandbox_interpreter.sessions import log, store
from sandbox_interpreter.sessions.history import restore
from tests.support.chats import chat, codes, outputs, point
from tests.support.openai_server import OpenAIServer, Reply, call, raw_call, say
from tests.support.sbi_process import Commands
from tests.support.terminal import Terminal, python

Serve = Callable[..., OpenAIServer]


@pytest.fixture
def serve(interpreter: Interpreter) -> Iterator[Serve]:
    """Give a function that lets the interpreter ask a server of these replies."""
    with ExitStack() as stack:
        def start(*replies: Reply, tools: bool = True) -> OpenAIServer:
            server = stack.enter_context(OpenAIServer(*replies))
            point(interpreter, server, tools=tools)
            return server

        yield start


def test_chat_runs_one_task_prints_it_and_returns_the_messages(
        interpreter: Interpreter, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(call("python", "print(6 * 7)", text="I multiply."), say("It is 42."))
    messages = interpreter.chat("What is six times seven?")
    shown = capsys.readouterr().out
    assert [message["content"] for message in messages] == [
        "What is six times seven?", "I multiply.", "print(6 * 7)", "42\n", "It is 42."]
    assert [part in shown for part in ("I multiply.", "print(6 * 7)", "42", "It is 42.")] == [True] * 4


TALK = """
import sys
from sandbox_interpreter import interpreter
interpreter.model = sys.argv[1]
messages = interpreter.chat()
print("returned", len(messages))
"""


def test_chat_without_a_message_opens_the_interactive_chat(sbi: Commands, tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text("turns: [{text: Hello yourself.}]")
    with Terminal(python(TALK, f"scripted:{tmp_path}/script.yaml"), columns=120, cwd=str(sbi.folder),
                  env={"TMPDIR": str(sbi.temporary)}) as terminal:
        sbi.pids.append(terminal.pid)
        for typed, shown in (("hello\n", "Hello yourself."), ("\x04", "returned 2")):
            terminal.wait_for(lambda: terminal.screen[terminal.cursor_row] == ">", 60)
            terminal.send(typed)
            terminal.wait_for(shown, 60)
        assert terminal.wait_for_end() == 0


def test_a_second_chat_remembers_earlier_turns_and_the_sandboxs_state(interpreter: Interpreter, serve: Serve) -> None:
    server = serve(call("python", "x = 20"), call("shell", "echo here > f; cd /tmp"), say("Set."),
                   call("python", "x + 1"), call("shell", "pwd; cat /workspace/f"), say("So."))
    first = interpreter.chat("Remember.", display=False)
    second = interpreter.chat("What was it?", display=False)
    assert second[:len(first)] == first
    assert outputs(second[len(first):]) == ["21\n", "/tmp\nhere\n"]
    assert [entry["content"] for entry in server.requests[3]["messages"] if entry["role"] == "user"] == [
        "Remember.", "What was it?"]


def test_stream_without_display_is_a_lazy_generator_of_chunks_and_prints_nothing(
        interpreter: Interpreter, serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    server = serve(call("python", "print(1)", text="Now."), say("Done."))
    chunks = interpreter.chat("Go.", display=False, stream=True)
    assert isinstance(chunks, Generator)
    assert (server.requests, interpreter.messages) == ([], [])
    assert fold(chunks) == interpreter.messages[1:]
    assert capfd.readouterr() == ("", "")


def test_stream_also_displays(interpreter: Interpreter, serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    serve(call("python", "print(6 * 7)"), say("It is 42."))
    assert fold(interpreter.chat("Go.", stream=True)) == interpreter.messages[1:]
    shown = capsys.readouterr().out
    assert "print(6 * 7)" in shown
    assert "It is 42." in shown


def test_the_return_value_of_chat_is_the_full_list_so_that_assigning_it_resumes(
        interpreter: Interpreter, serve: Serve) -> None:
    server = serve(say("Hello, Ada."), say("You are Ada."))
    messages = interpreter.chat("I am Ada.", display=False)
    interpreter.reset()
    interpreter.messages = messages
    assert interpreter.chat("Who am I?", display=False)[:2] == messages
    sent = [entry["content"] for entry in server.requests[1]["messages"][1:]]
    assert sent == ["I am Ada.", "Hello, Ada.", "Who am I?"]


@pytest.mark.parametrize(("argument", "sent"), [
    ("new", ["old", "new"]), ({"content": "new"}, ["old", "new"]),
    ([{"content": "other"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "new"}],
     ["other", "Yes?", "new"]),
])
def test_the_argument_of_chat_is_a_text_a_message_or_a_list_that_replaces_the_history(
        interpreter: Interpreter, serve: Serve, argument: Any, sent: list[str]) -> None:
    server = serve(say("Done."))
    interpreter.messages = [{"role": "user", "type": "message", "content": "old"}]
    interpreter.chat(argument, display=False)
    assert [entry["content"] for entry in server.requests[0]["messages"][1:]] == sent


def test_reset_forgets_conversation_and_state_keeps_settings_and_starts_a_new_history_file(
        interpreter: Interpreter, serve: Serve) -> None:
    serve(call("python", "x = 2; open('f', 'w').write('f')"), say("Set."),
          call("python", "print(open('f').read()); x"), say("Gone."))
    interpreter.temperature = 0.5
    before = interpreter.chat("First.", display=False)
    interpreter.reset()
    assert (interpreter.messages, interpreter.temperature, interpreter.auto_run) == ([], 0.5, True)
    after = interpreter.chat("Second.", display=False)
    assert outputs(after)[0].startswith("f\n")
    assert "NameError" in outputs(after)[0]
    newest, oldest = store.every()
    assert [restore(log.read(each.events).entries).messages for each in (oldest, newest)] == [before, after]


def test_messages_are_readable_assignable_and_json_serialisable(interpreter: Interpreter, serve: Serve) -> None:
    serve(call("python", "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()"), say("There."), say("Again."))
    interpreter.chat("Draw.", display=False)
    assert {message["type"] for message in interpreter.messages} >= {"message", "code", "image"}
    interpreter.messages = json.loads(json.dumps(interpreter.messages))
    interpreter.messages += [{"role": "assistant", "type": "message", "content": "Mine."}]
    assert interpreter.chat("And?", display=False)[-3]["content"] == "Mine."


def test_system_message_is_readable_and_adding_to_it_affects_the_next_turn(
        interpreter: Interpreter, serve: Serve) -> None:
    server = serve(say("One."), say("Two."))
    assert "programmer" in interpreter.system_message
    interpreter.chat("a", display=False)
    interpreter.system_message += "\nYou rhyme."
    interpreter.chat("b", display=False)
    told = [request["messages"][0]["content"] for request in server.requests]
    assert ["You rhyme." in each for each in told] == [False, True]


# --- whether code runs, and how it is asked for ---


def test_auto_run_skips_the_question(interpreter: Interpreter, serve: Serve) -> None:
    serve(call("python", "6 * 7"), say("Done."))
    chunks = list(interpreter.chat("Go.", display=False, stream=True))
    assert not [chunk for chunk in chunks if chunk["type"] == "confirmation"]
    assert outputs(interpreter.messages) == ["42\n"]


def test_with_nobody_to_ask_the_code_does_not_run(interpreter: Interpreter, serve: Serve) -> None:
    server = serve(call("python", "open('ran', 'w')"), say("As you like."), call("shell", "ls"), say("Empty."))
    interpreter.auto_run = False
    messages = interpreter.chat("Go.", display=False)
    assert "not run: this code needs approval and there is nobody to ask" in outputs(messages)[0]
    assert "not run" in server.requests[1]["messages"][-1]["content"]
    interpreter.auto_run = True
    assert "ran" not in outputs(interpreter.chat("What is there?", display=False))[1].split()


def test_the_exec_function_is_one_tool_and_fences_serve_models_without_unless_overridden(
        interpreter: Interpreter, serve: Serve) -> None:
    fenced = say("```python\n10+12\n```")
    for tools, replies in ((True, (raw_call("execute", '{"language": "python", "code": "10+12"}'), say("22."))),
                           (False, (fenced, say("22.")))):
        server = serve(*replies, tools=tools)
        assert outputs(interpreter.chat("Go.", display=False))[-1] == "22\n"
        offered = [tool["function"]["name"] for tool in server.requests[0].get("tools", [])]
        assert offered == (["execute"] if tools else [])
        if tools:
            assert list(server.requests[0]["tools"][0]["function"]["parameters"]["properties"]) == ["language", "code"]
    server = serve(say("Hi."), say("Hi."))
    interpreter.supports_functions = None  # litellm knows that the one takes tools, and of the other nothing
    for interpreter.model in ("openai/gpt-4.1", "openai/nobody-knows"):
        interpreter.chat("Hi.", display=False)
    assert ["tools" in request for request in server.requests] == [True, False]


# --- messages and chunks ---


def test_messages_and_chunks_have_the_promised_shape(interpreter: Interpreter, serve: Serve) -> None:
    serve(call("python", "print('a')\nimport matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()\nprint('b')",
               text="Now."), call("python", "x = 1"), say("Done."))
    interpreter.auto_run = False
    interpreter.approve = lambda block: Approval(run=True)
    chunks = list(interpreter.chat("Go.", display=False, stream=True))
    interpreter.approve = None
    check_blocks(chunks)
    heads = [(message["role"], message["type"], message.get("format")) for message in interpreter.messages]
    assert heads == [
        ("user", "message", None), ("assistant", "message", None), ("assistant", "code", "python"),
        ("computer", "console", "output"), ("computer", "image", "base64.png"), ("computer", "console", "output"),
        ("assistant", "code", "python"), ("computer", "console", "output"), ("assistant", "message", None)]
    assert outputs(interpreter.messages) == ["a\n", "b\n", ""]
    asked = [chunk for chunk in chunks if chunk["type"] == "confirmation"]
    assert asked[1] == {"role": "computer", "type": "confirmation", "format": "execution",
                        "content": {"type": "code", "format": "python", "content": "x = 1"}}
    assert len(asked) == len(codes(interpreter.messages)) == 2
    lines = [chunk["content"] for chunk in chunks if chunk.get("format") == "active_line"]
    assert all(line is None or line >= 1 for line in lines)


def check_blocks(chunks: list[Chunk]) -> None:
    """See that each block opens and closes exactly once, with no other between, and has content in each chunk."""
    current: tuple[object, ...] | None = None
    for chunk in chunks:
        head = (chunk["role"], chunk["type"], chunk.get("format"))
        if chunk["type"] == "confirmation" or chunk.get("format") == "active_line":
            assert set(chunk) == {"role", "type", "format", "content"}
            assert chunk["type"] != "confirmation" or current is None
            continue
        if chunk.get("start"):
            assert current is None
            current = head
        assert current == head
        assert ("content" in chunk) != bool(chunk.get("start") or chunk.get("end"))
        if chunk.get("end"):
            current = None
    assert current is None


# --- what went wrong in a run or a connection is told ---


def test_an_error_is_output_and_the_model_goes_on(interpreter: Interpreter) -> None:
    messages, requests = chat(interpreter, call("python", "1/0"), call("python", "1/1"), say("Fine."))
    assert "ZeroDivisionError" in outputs(messages)[0]
    assert "ZeroDivisionError" in requests[1]["messages"][-1]["content"]
    assert outputs(messages)[1] == "1.0\n"


def test_a_dead_connection_is_told_and_the_block_runs_once(interpreter: Interpreter) -> None:
    broken = raw_call("execute", '{"language": "python", "code": "print(', '1)"}').dropped(before=b'1)')
    messages, _ = chat(interpreter, broken, call("python", "print(2)"), say("Done."))
    assert outputs(messages) == [
        "[not run: it is not whole. The connection to the model broke; the answer begins again.]\n", "2\n"]


def test_interrupting_lets_the_model_see_that_it_was(interpreter: Interpreter, serve: Serve) -> None:
    server = serve(call("python", "print('up')\nwhile True: pass"), say("Stopped."))
    for chunk in interpreter.chat("Go.", display=False, stream=True):
        if chunk.get("content") == "up\n":
            assert interpreter.interrupt()
    assert "KeyboardInterrupt" in server.requests[1]["messages"][-1]["content"]
    assert interpreter.messages[-1]["content"] == "Stopped."
    assert not interpreter.interrupt()
