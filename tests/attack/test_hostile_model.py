"""A model, or whoever sits between, answers with what would harm a terminal, a machine's memory, or its patience."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator

import pytest

from sandbox_interpreter.interpreter import Interpreter
from sandbox_interpreter.models import response
from tests.support.openai_server import OpenAIServer, Reply, call, call_deltas, deltas, raw_call, say
from tests.support.sbi_process import SBI
from tests.support.terminal import Terminal

MIB = 1024 * 1024
ESCAPES = ("\x1b]0;owned\x07", "\x1b]52;c;b3duZWQ=\x07", "\x1b[2J", "\x9b2J", "\x1b]8;;http://x\x1b\\",
           "\x1bPq#0!9~\x1b\\", "\x1b[21t", "\x1b]2;owned\x1b\\", "\x1b[c", "\x1b[6n", "\x1bP$qm\x1b\\",
           "\x9d52;c;eA==\x9c",
           "\x90q#0!9~\x9c", "\x1b_Ga=T,f=100;AAAA\x1b\\", "\x1b]1337;File=inline=1:AAAA\x07", "\x1bP0;0q!99999~\x1b\\")


def talk(*replies: Reply) -> tuple[list[dict[str, object]], OpenAIServer]:
    """Return the messages of a chat whose code runs unasked, and the server that played the model."""
    with OpenAIServer(*replies, say("Done.")) as server, Interpreter(
            model="openai/any", api_base=server.url, api_key="k", auto_run=True, image="base") as interpreter:
        return [dict(message) for message in interpreter.chat("go", display=False)], server


@pytest.fixture
def small_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut answers off sooner."""
    monkeypatch.setattr(response, "MOST_CHARACTERS", MIB)


@pytest.mark.usefixtures("small_answers")
@pytest.mark.parametrize("reply", [
    call("python", "x = '" + "a" * 12 * MIB + "'\nprint('it ran')", size=MIB),
    raw_call("execute", *['{"language": "' + "p" * MIB] * 12),
    raw_call("execute", *[" " * MIB] * 12),
    say(*["words " * (MIB // 6)] * 12),
], ids=["code", "language", "spaces", "prose"])
def test_an_answer_without_end_is_cut_off_and_nothing_of_it_runs(reply: Reply) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    messages, _ = talk(reply)
    assert "grew beyond 4 MiB" in str(messages)
    assert "it ran" not in str([each["content"] for each in messages if each["role"] == "computer"])
    assert sum(len(str(message["content"])) for message in messages) < 4 * MIB
    # The server is a thread here and holds the answer several times; what matters is that nobody gathers it again.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_a_thousand_calls_in_one_answer_run_in_their_order_and_one_after_the_other() -> None:
    code = "import os\nprint({number}, len([each for each in os.listdir('/proc') if each.isdecimal()]) < 9)"
    pieces = [piece for number in range(1000) for piece in
              call_deltas(number, "execute", json.dumps({"language": "python",
                                                         "code": code.replace("{number}", str(number))}))]
    messages, _ = talk(deltas(*pieces, finish="tool_calls"))
    assert [each["content"] for each in messages if each["type"] == "console"] == [f"{n} True\n" for n in range(1000)]


def test_an_argument_of_50_mb_is_cut_off_at_the_limit_that_holds_without_tests() -> None:
    messages, server = talk(call("python", "x = '" + "a" * 50 * MIB + "'\nprint('it ran')", size=MIB))
    assert "grew beyond 4 MiB" in str(messages)
    assert "it ran" not in str([each["content"] for each in messages if each["role"] == "computer"])
    assert sum(len(str(message["content"])) for message in messages) < 8 * MIB
    assert len(server.requests) <= 2


@pytest.mark.parametrize("name", [
    "py\x1b]0;x\x07thon", "../../etc/passwd", "python\0", "", "__class__",
    "py\u202ethon", "\x9b2J", "p" * 100_000, "python\r\nshell",
])
def test_a_language_that_is_none_is_refused_by_a_name_that_is_shown_not_obeyed(name: str) -> None:
    messages, server = talk(call(name, "print('it ran')", size=MIB))
    (said,) = [str(each["content"]) for each in messages if each["type"] == "console"]
    if name:
        assert said.startswith("[not run: Unknown language")
        assert "\x1b" not in said
    assert "it ran" not in said or not name
    assert len(server.requests) == 2  # the model is told, and goes on


@pytest.fixture
def window() -> Iterator[Terminal]:
    """Give a terminal in which a model says every escape there is, wherever it can."""
    every = "".join(ESCAPES)
    replies = (call("shell", f"printf '%s' '{every}'  # {every}", text=f"prose {every}\n\n", size=50),
               call(f"sh{every}", "echo", size=50), say(f"[a link {every}](http://x{every})"))
    words = [SBI, "chat", "-y", "--image", "base", "-m", "openai/any", "--api-key", "k", "go"]
    with OpenAIServer(*replies) as server, Terminal(words, env={"SBI_API_BASE": server.url}) as terminal:
        yield terminal


def test_no_escape_of_a_model_reaches_the_terminal_from_prose_code_language_output_or_link(window: Terminal) -> None:
    assert window.wait_for_end(110) == 0
    for escape in (*ESCAPES, "\x1b]0", "\x1b]52", "\x1bP", "\x9b", "\x90", "\x9d"):
        assert escape not in window.raw, escape
    assert "owned" in window.raw
