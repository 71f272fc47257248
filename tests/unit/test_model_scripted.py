from __future__ import annotations

import ast
from pathlib import Path

import pytest

from sandbox_interpreter.conversation import Conversation
from sandbox_interpreter.errors import ModelNotConfigured, ModelUnavailable
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models import scripted
from sandbox_interpreter.models.base import CodeEnd, ModelEvent, TextDelta
from sandbox_interpreter.models.scripted import ScriptedModel, Turn
from tests.support.events import codes, prose
from tests.support.fakes import ReplayRunner

TURNS = (Turn("I count.", "print(1)"), Turn("", "ls", "shell"), Turn("Done."), Turn("Again.", "print(2)"), Turn("Bye."))


def user(words: str = "Go.") -> Message:
    return {"role": "user", "type": "message", "content": words}


CODE: Message = {"role": "assistant", "type": "code", "format": "python", "content": "x"}
OUTPUT: Message = {"role": "computer", "type": "console", "format": "output", "content": "1\n"}
PICTURE: Message = {"role": "computer", "type": "image", "format": "base64.png", "content": "iVBO"}
MINE: Message = {"role": "user", "type": "code", "format": "python", "content": "y"}


def answer(*messages: Message, model: ScriptedModel | None = None) -> list[ModelEvent]:
    return list((model or ScriptedModel("test", TURNS)).stream(messages, system=""))


def test_an_answer_comes_in_small_pieces() -> None:
    events = answer(user())
    assert events[:2] == [TextDelta("I coun"), TextDelta("t.")]
    assert codes(events) == [("python", "print(1)")]
    assert events[-1] == CodeEnd()


@pytest.mark.parametrize(("messages", "words", "blocks"), [
    ([], "I count.", [("python", "print(1)")]),
    ([user()], "I count.", [("python", "print(1)")]),
    ([user(), CODE, OUTPUT], "", [("shell", "ls")]),
    ([user(), CODE, OUTPUT, CODE, OUTPUT, PICTURE], "Done.", []),
    ([user(), CODE, OUTPUT, CODE, OUTPUT, CODE, OUTPUT], "Done.", []),
    ([user(), CODE, OUTPUT, MINE, OUTPUT], "", [("shell", "ls")]),
    ([user(), CODE, OUTPUT, user()], "Again.", [("python", "print(2)")]),
    ([user(), user(), CODE, OUTPUT], "Bye.", []),
])
def test_which_turn_comes_is_read_from_the_conversation(messages: list[Message], words: str,
                                                        blocks: list[tuple[str, str]]) -> None:
    events = answer(*messages)
    assert (prose(events), codes(events)) == (words, blocks)


def test_a_script_ends_or_begins_again() -> None:
    with pytest.raises(ModelUnavailable, match="no answer to prompt 3"):
        answer(user(), user(), user())
    assert prose(answer(user(), user(), user(), model=ScriptedModel("test", TURNS, repeat=True))) == "I count."


def test_a_turn_may_expect_what_it_reads() -> None:
    model = ScriptedModel("test", (Turn("Yes.", expect=r"1\n"),))
    assert prose(answer(user(), CODE, OUTPUT, PICTURE, model=model)) == "Yes."
    with pytest.raises(ModelUnavailable, match=r"expected .* but was told 'Go\.'"):
        answer(user(), model=model)


def write(folder: Path, words: str) -> Path:
    path = folder / "script.yaml"
    path.write_text(words)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, "repeat: true\ndelay: 0.5\n"
                           "turns:\n- text: |\n    Hi.\n  code: |\n    x\n    y\n- text: Bye.\n")
    assert scripted.load(path) == ScriptedModel(
        str(path), (Turn("Hi.", "x\ny"), Turn("Bye.")), repeat=True, delay=0.5)


@pytest.mark.parametrize(("words", "says"), [
    ("", "no list of turns"), ("turns: []", "no list of turns"), ("- text: a", "no list of turns"),
    ("turns: [a]", "turn 1 is not a mapping"), ("turns: [{text: a}, {txet: b}]", "turn 2 has an unknown key 'txet'"),
    ("turns: [{text: 1}]", "turn 1 is not a mapping of texts"), ("turns: [{expect: '('}]", "turn 1"),
    ("turns: [{text: a}]\ndelay: soon", "malformed"), ("turns: [{text: a}]\nspeed: 1", "unknown key 'speed'"),
    ("turns: [", "cannot be read"),
])
def test_a_malformed_file_is_an_error_that_says_where(tmp_path: Path, words: str, says: str) -> None:
    path = write(tmp_path, words)
    with pytest.raises(ModelNotConfigured, match=says) as caught:
        scripted.load(path)
    assert str(path) in str(caught.value)
    assert caught.value.next_step


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelNotConfigured, match="cannot be read"):
        scripted.load(tmp_path / "none.yaml")


# --- the demo ---


def test_the_demo_says_that_it_is_one_and_runs_several_blocks_for_each_prompt() -> None:
    demo = scripted.load(scripted.DEMO)
    talk = Conversation([], ScriptedModel(demo.name, demo.turns, repeat=demo.repeat), ReplayRunner(), auto_run=True)
    for number, blocks in ((1, 3), (2, 2), (3, 3)):
        talk.messages.append(user(f"Prompt {number}"))
        before = len(talk.messages)
        list(talk.respond())
        new = talk.messages[before:]
        assert sum(message["type"] == "code" for message in new) == blocks
        assert new[-1]["role"] == "assistant"
    assert "not a language model" in talk.messages[1]["content"]
    assert "No model is configured" in talk.messages[1]["content"]


def test_the_demos_code_is_code() -> None:
    turns = [turn for turn in scripted.load(scripted.DEMO).turns if turn.language == "python"]
    assert sum(len(ast.parse(turn.code).body) for turn in turns) > 15
