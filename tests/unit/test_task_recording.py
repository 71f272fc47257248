"""A model's answers, kept and played again: the same, or an error that says what is different."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox_interpreter.errors import ModelUnavailable, RecordingMismatch
from sandbox_interpreter.messages import Message
from sandbox_interpreter.models.base import BrokenOff, CodeDelta, CodeEnd, Model, ModelEvent, TextDelta
from sandbox_interpreter.sessions.redact import Redactor
from sandbox_interpreter.tasks.recording import Recorder, load
from tests.support.fakes import ReplayModel, block, text

ASKED: list[Message] = [{"role": "user", "type": "message", "content": "Go."}]
RAN: list[Message] = [*ASKED, {"role": "assistant", "type": "message", "content": "I do."},
                      {"role": "assistant", "type": "code", "format": "python", "content": "f"},
                      {"role": "computer", "type": "console", "format": "output",
                       "content": "<f at 0x7f0011>\nline 2\n"},
                      {"role": "computer", "type": "image", "format": "base64.png", "content": "AAAA"}]


def answer(model: Model, messages: Sequence[Message]) -> list[ModelEvent]:
    return list(model.stream(messages, system="any"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Give a recording of two answers."""
    model = ReplayModel([[*text("I do."), *block("f(1)")], text("Done.")])
    recorder = Recorder(model, "openai/x", Redactor())
    answer(recorder, ASKED)
    answer(recorder, RAN)
    recorder.save(tmp_path / "deep" / "r.json")
    return tmp_path / "deep" / "r.json"


def changed(at: int, **what: str) -> list[Message]:
    messages = [message.copy() for message in RAN]
    messages[at].update(what)  # type: ignore[typeddict-item]  # fields by name
    return messages


def test_answers_come_back_as_they_were_and_pieces_in_one(file: Path) -> None:
    player = load(file, Redactor())
    assert player.name == "openai/x"
    assert answer(player, ASKED) == [TextDelta("I do."), CodeDelta("python", "f(1)"), CodeEnd()]
    assert answer(player, RAN) == [TextDelta("Done.")]
    player.check_end()


def test_addresses_and_pixels_may_differ(file: Path) -> None:
    player = load(file, Redactor())
    answer(player, ASKED)
    messages = changed(3, content="<f at 0x7fffffff>\nline 2\n")
    messages[4]["content"] = "BBBB"
    assert answer(player, messages) == [TextDelta("Done.")]


@pytest.mark.parametrize(("messages", "told"), [
    (changed(3, content="<f at 0x1234>\nline 3\n"),
     "message 4 (computer console output) had 'line 2', and has 'line 3'"),
    (changed(0, content="Stop."), "message 1 (user message) had 'Go.', and has 'Stop.'"),
    (changed(2, format="shell"), "message 3 was assistant code python, and is assistant code shell"),
    (RAN[:3], "message 4 was computer console output, and is nothing"),
    ([*RAN, RAN[0]], "message 6 was nothing, and is user message"),
])
def test_a_recording_that_no_longer_matches_says_where(file: Path, messages: list[Message], told: str) -> None:
    player = load(file, Redactor())
    answer(player, ASKED)
    with pytest.raises(RecordingMismatch) as caught:
        answer(player, messages)
    assert f"no longer matches: {told}." in str(caught.value)
    assert "--record" in caught.value.next_step


def test_one_answer_too_many_or_too_few_is_told(file: Path) -> None:
    player = load(file, Redactor())
    with pytest.raises(RecordingMismatch, match="only 0 of its 2 answers were asked for"):
        player.check_end()
    answer(player, ASKED)
    answer(player, RAN)
    with pytest.raises(RecordingMismatch, match="it has 2 answers, and another is asked for"):
        answer(player, RAN)


@pytest.mark.parametrize("content", [
    "", "[]", '{"version": 2}', '{"version": 1, "model": "x", "calls": [{"said": []}]}', "[" * 100_000,
    '{"version": 1, "model": "x", "calls": [{"said": [], "answer": [["run", "x"]]}]}',
    '{"version": 1, "model": "x", "calls": [{"said": [], "answer": [["code", "x"]]}]}'])
def test_a_file_that_is_no_recording_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(RecordingMismatch, match="cannot be read"):
        load(tmp_path / "r.json", Redactor())


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingMismatch, match=r"There is no recording .*r\.json"):
        load(tmp_path / "r.json", Redactor())


def test_no_secret_is_recorded_and_it_is_played_all_the_same(tmp_path: Path) -> None:
    redactor = Redactor({"API": "hunter2-long"})
    said: list[Message] = [{"role": "user", "type": "message", "content": "Use hunter2-long."}]
    recorder = Recorder(ReplayModel([text("It is hunter2-long.")]), "m", redactor)
    answer(recorder, said)
    recorder.save(tmp_path / "r.json")
    assert "hunter2" not in (tmp_path / "r.json").read_text()
    assert answer(load(tmp_path / "r.json", redactor), said) == [TextDelta("It is [secret API].")]


def test_an_answer_that_began_again_is_kept_once_and_one_that_failed_not_at_all(tmp_path: Path) -> None:
    model = ReplayModel([[TextDelta("Ha"), BrokenOff("gone", again=True), TextDelta("Half.")],
                         [TextDelta("x"), ModelUnavailable("down")]])
    recorder = Recorder(model, "m", Redactor())
    answer(recorder, ASKED)
    with pytest.raises(ModelUnavailable):
        answer(recorder, ASKED)
    recorder.save(tmp_path / "r.json")
    calls = json.loads((tmp_path / "r.json").read_text())["calls"]
    assert [call["answer"] for call in calls] == [[["text", "Half."]]]


def test_a_recording_that_is_no_plain_file_is_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.json")
    for name in ("zero.json", "pipe.json"):
        with pytest.raises(RecordingMismatch, match="cannot be read"):
            load(tmp_path / name, Redactor())
