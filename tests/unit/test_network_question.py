"""The question for hosts that no setting allows, as it stands on the terminal, and what may be answered."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

import pytest

from sandbox_interpreter.sandbox.consent import Verdict
from sandbox_interpreter.sandbox.questions import Question
from sandbox_interpreter.terminal import network_question

PAGE = (("www.example.com", 443), ("static.example.com", 443), ("cdn.other.example", 8080))


class Keyboard:
    """Stands for stdin: lines that are typed one after the other, each when it is asked for."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self._reader, self._writer = os.pipe()
        os.write(self._writer, b"x")

    def fileno(self) -> int:
        return self._reader

    def readline(self) -> str:
        return self.lines.pop(0) + "\n" if self.lines else ""

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Keyboard]]:
    monkeypatch.setattr(network_question, "forget_typed_ahead", lambda: None)
    made: list[Keyboard] = []
    yield made
    for each in made:
        each.close()


def ask(typed: list[Keyboard], monkeypatch: pytest.MonkeyPatch, *lines: str, lasting: bool = True,
        places: tuple[tuple[str, int], ...] = PAGE) -> tuple[str, list[Verdict]]:
    typed.append(Keyboard(*lines))
    monkeypatch.setattr(sys, "stdin", typed[-1])
    screen = io.StringIO()
    questions = [Question(host, port, lasting=lasting) for host, port in places]
    network_question.ask(questions, screen, styled=False)
    return screen.getvalue(), [each.verdict for each in questions]


@pytest.mark.parametrize(("line", "verdict"), [("o", Verdict.ONCE), ("s", Verdict.SESSION), ("a", Verdict.ALWAYS),
                                               ("n", Verdict.NO), ("no", Verdict.NO)])
def test_one_answer_is_for_all_that_are_shown(typed: list[Keyboard], monkeypatch: pytest.MonkeyPatch, line: str,
                                             verdict: Verdict) -> None:
    said, verdicts = ask(typed, monkeypatch, line)
    assert verdicts == [verdict] * 3
    for host, port in PAGE:
        assert f"  {host}:{port}\n" in said
    assert "*.example.com" in said


def test_each_can_be_answered_by_itself(typed: list[Keyboard], monkeypatch: pytest.MonkeyPatch) -> None:
    said, verdicts = ask(typed, monkeypatch, "e", "s", "n", "o")
    assert verdicts == [Verdict.SESSION, Verdict.NO, Verdict.ONCE]
    assert said.count("The code wants to reach") == 4


def test_a_list_answers_for_what_it_covers_and_the_rest_is_asked_for(typed: list[Keyboard],
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    said, verdicts = ask(typed, monkeypatch, "*.example.com:443", "n")
    assert verdicts == [Verdict.SESSION, Verdict.SESSION, Verdict.NO]
    assert "wants to reach cdn.other.example:8080" in said


@pytest.mark.parametrize("line", ["full,.", "*.com.", "10.0.0.0/8", "elsewhere.example", "ask,www.example.com", "*.*",
                                  "", "yes", "q"])
def test_what_is_no_answer_is_asked_again_and_allows_nothing(typed: list[Keyboard], monkeypatch: pytest.MonkeyPatch,
                                                            line: str) -> None:
    said, verdicts = ask(typed, monkeypatch, line)
    assert verdicts == [Verdict.NOBODY] * 3  # then the input ends
    assert said.count("Allow them?") == 2


def test_always_is_no_answer_where_there_is_no_project(typed: list[Keyboard], monkeypatch: pytest.MonkeyPatch) -> None:
    said, verdicts = ask(typed, monkeypatch, "a", lasting=False, places=PAGE[:1])
    assert verdicts == [Verdict.NOBODY]
    assert "always" not in said


def test_a_host_alone_is_shown_with_its_port_and_escapes_are_shown(typed: list[Keyboard],
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    said, _ = ask(typed, monkeypatch, "n", places=(("evil\x1b[2J.example", 22),))
    assert "The code wants to reach evil␛[2J.example:22," in said
    assert "ports 80 and 443" not in said
