"""Questions that come up while code runs, and what the user has allowed for always."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from sandbox_interpreter import config
from sandbox_interpreter.config import Settings, grants
from sandbox_interpreter.errors import ConfigError
from sandbox_interpreter.network import parse
from sandbox_interpreter.sandbox import way_out
from sandbox_interpreter.sandbox.consent import Consent, Verdict
from sandbox_interpreter.sandbox.questions import Question, Questions


def answering(verdict: Verdict) -> Callable[[Sequence[Question]], None]:
    """Return a person who says the same of everything."""
    def person(asked: Sequence[Question]) -> None:
        for question in asked:
            question.verdict = verdict

    return person


def asked(questions: Questions) -> tuple[threading.Thread, list[Verdict]]:
    """Ask in another thread, as whoever dials does; return when the question is open, or answered."""
    answers: list[Verdict] = []
    woken = threading.Event()
    with_reader = questions._wake
    questions._wake = woken.set if with_reader else None
    thread = threading.Thread(target=lambda: answers.append(questions.ask("example.com", 443).verdict))
    thread.start()
    if with_reader and questions.person:
        assert woken.wait(5)
    return thread, answers


def test_the_reader_of_a_run_puts_the_question_in_its_own_thread() -> None:
    questions = Questions(lasting=True)
    seen: list[tuple[str, int, bool, int]] = []

    def person(asked: Sequence[Question]) -> None:
        for question in asked:
            seen.append((question.host, question.port, question.lasting, threading.get_ident()))
            question.verdict = Verdict.SESSION

    questions.person = person
    with questions.read_by(lambda: None):
        thread, answers = asked(questions)
        questions.attend()
        thread.join(5)
    assert answers == [Verdict.SESSION]
    assert seen == [("example.com", 443, True, threading.get_ident())]


@pytest.mark.parametrize(("person", "read"), [(False, True), (True, False)])
def test_without_a_person_or_a_reader_nobody_answers(person: bool, read: bool) -> None:
    questions = Questions()
    questions.person = answering(Verdict.ONCE) if person else None
    if read:
        with questions.read_by(lambda: None):
            assert questions.ask("example.com", 443).verdict is Verdict.NOBODY
    assert questions.ask("example.com", 443).verdict is Verdict.NOBODY


def test_a_run_that_ends_or_is_stopped_leaves_nobody_waiting() -> None:
    questions = Questions()
    questions.person = answering(Verdict.ONCE)
    with questions.read_by(lambda: None):
        thread, answers = asked(questions)
    thread.join(5)
    assert answers == [Verdict.NOBODY]


def test_a_question_that_fails_leaves_nobody_waiting() -> None:
    def person(_: Sequence[Question]) -> None:
        raise KeyboardInterrupt

    questions = Questions()
    questions.person = person
    with questions.read_by(lambda: None):
        thread, answers = asked(questions)
        with pytest.raises(KeyboardInterrupt):
            questions.attend()
        thread.join(5)
    assert answers == [Verdict.NOBODY]


def test_stopping_a_run_ends_the_question_that_is_being_put() -> None:
    questions = Questions()

    def person(asked: Sequence[Question]) -> None:
        threading.Thread(target=questions.drop).start()
        assert asked[0].is_over.wait(5)

    questions.person = person
    with questions.read_by(lambda: None):
        thread, answers = asked(questions)
        questions.attend()
        thread.join(5)
    assert answers == [Verdict.NOBODY]


def ask_all(questions: Questions, places: Sequence[tuple[str, int]],
            ask: Callable[[str, int], Verdict]) -> list[Verdict]:
    """Ask for all places at once, from a thread each, and have them attended to; return the answers in their order."""
    answers: dict[tuple[str, int], Verdict] = {}
    woken = threading.Semaphore(0)
    with questions.read_by(woken.release):
        threads = [threading.Thread(target=lambda place=place: answers.update({place: ask(*place)}))
                   for place in places]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            woken.acquire(timeout=0.05)
            questions.attend()
    return [answers[place] for place in places]


def test_what_is_asked_together_is_put_together() -> None:
    questions = Questions()
    put: list[int] = []

    def person(asked: Sequence[Question]) -> None:
        put.append(len(asked))
        answering(Verdict.ONCE)(asked)

    questions.person = person
    places = [(f"host{number}.example", 443) for number in range(12)]
    assert ask_all(questions, places, lambda *place: questions.ask(*place).verdict) == [Verdict.ONCE] * 12
    assert put == [12]


def test_an_answer_to_one_question_may_be_one_to_another_that_waits() -> None:
    questions = Questions()
    said: list[str] = []

    def person(asked: Sequence[Question]) -> None:
        said.extend(question.host for question in asked)
        asked[0].verdict, asked[0].entries = Verdict.SESSION, parse("*.example.com").hosts
        for question in asked[1:]:
            question.verdict = Verdict.NO

    questions.person = person
    made = way_out.of(Settings(network="ask"), questions=questions)
    consent = made.gate._consent
    assert ask_all(questions, [("a.example.com", 443)], consent.ask) == [Verdict.SESSION]
    # Another port, another name below, and neither the name itself nor one that only ends alike.
    assert consent.known("b.c.example.com", 8080) is Verdict.SESSION
    assert consent.known("example.com", 443) is consent.known("notexample.com", 443) is None
    assert ask_all(questions, [("b.example.com", 80)], consent.ask) == [Verdict.SESSION]
    assert said == ["a.example.com"]


def test_a_web_servers_two_ports_are_one_beyond_once_and_no_other_port_is() -> None:
    for verdict in (Verdict.SESSION, Verdict.NO):
        consent = Consent(lambda *_, verdict=verdict: verdict)
        consent.ask("example.com", 443)
        assert consent.known("example.com", 80) is verdict
        assert consent.known("example.com", 8443) is consent.known("www.example.com", 443) is None
    once = Consent(lambda *_: Verdict.ONCE)
    once.ask("example.com", 443)
    assert once.known("example.com", 80) is once.known("example.com", 443) is None


def test_grants_are_kept_by_project_host_and_port() -> None:
    assert not grants.is_granted("/work", "example.com", 443)
    grants.grant("/work", "example.com", 443)
    grants.grant("/work", "::1", 80)
    grants.grant("/work", "example.com", 443)
    assert grants.is_granted("/work", "example.com", 443)
    assert grants.is_granted("/work", "::1", 80)
    assert not grants.is_granted("/work", "example.com", 80)
    assert not grants.is_granted("/other", "example.com", 443)
    file = config.config_folder() / "network.json"
    assert file.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in file.parent.iterdir()) == ["network.json"]


@pytest.mark.parametrize("content", ['{"/work": "example.com:443"}', '{"/work": [1, null]}', '{"/work": {}}'])
def test_a_record_of_another_shape_grants_nothing(content: str) -> None:
    config.config_folder().mkdir(parents=True)
    (config.config_folder() / "network.json").write_text(content)
    assert not grants.is_granted("/work", "example.com", 443)


def test_a_broken_record_is_an_error_with_the_way_out() -> None:
    config.config_folder().mkdir(parents=True)
    (config.config_folder() / "network.json").write_text("[")
    with pytest.raises(ConfigError, match=r"allowed hosts, .*network\.json") as caught:
        grants.is_granted("/work", "example.com", 443)
    assert "asked again" in caught.value.next_step


def test_always_is_offered_only_where_a_folder_is_shared() -> None:
    for workspace, lasting in ((None, False), ("/tmp", True)):
        questions = Questions()
        way_out.of(Settings(network="ask", workspace=workspace), questions=questions)
        assert questions.lasting is lasting
