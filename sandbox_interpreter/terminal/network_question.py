"""The question whether code may reach hosts that no setting allows: once, for the session, always, by a list, or no."""

from __future__ import annotations

import select
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from sandbox_interpreter.network import Host, as_address, parse, shown
from sandbox_interpreter.sandbox.consent import WEB_PORTS, Verdict
from sandbox_interpreter.sandbox.questions import Question
from sandbox_interpreter.terminal.escape import reveal
from sandbox_interpreter.terminal.keyboard import forget_typed_ahead

_LOOK = 0.1
"""Seconds between two looks whether the question is still open: Ctrl-C stops the code that asked."""
_ANSWERS = {"o": Verdict.ONCE, "s": Verdict.SESSION, "a": Verdict.ALWAYS, "n": Verdict.NO}


def ask(questions: Sequence[Question], screen: TextIO, *, styled: bool) -> None:
    """Give each question the verdict of the person at the terminal; they are shown together.

    End of input, Ctrl-C and a run that was stopped mean that nobody said anything.
    """
    try:
        _ask_all(list(questions), screen, styled=styled)
    except (EOFError, KeyboardInterrupt):
        screen.write("\n")


def _ask_all(questions: list[Question], screen: TextIO, *, styled: bool) -> None:
    while questions:
        screen.write(_said(questions, styled=styled))
        forget_typed_ahead()  # what was typed before the question was there is no answer to it
        reply = _answer(questions, screen)
        if reply is None:
            screen.write("\n")
            return
        if isinstance(reply, str):
            for question in questions:
                _ask_all([question], screen, styled=styled)
            return
        if isinstance(reply, Verdict):
            for question in questions:
                question.verdict = reply
            return
        for question in _covered(questions, reply):
            question.verdict, question.entries = Verdict.SESSION, reply
        questions = [each for each in questions if not each.entries]


def _said(questions: Sequence[Question], *, styled: bool) -> str:
    places = [reveal(shown(each.host, each.port)) for each in questions]
    if styled:
        places = [f"\x1b[1m{place}\x1b[0m" for place in places]
    what = places[0] if len(places) == 1 else f"{len(places)} places"
    listed = ":\n" + "".join(f"  {place}\n" for place in places) if len(places) > 1 else ".\n"
    web = f" Beyond once, a host's ports {WEB_PORTS[0]} and {WEB_PORTS[1]} are one." if any(
        each.port in WEB_PORTS for each in questions) else ""
    example = _example(questions)
    hint = f" A list such as {reveal(example)} allows that for this session." if example else ""
    return (f"The code wants to reach {what}, which the setting network does not list{listed}"
            + (f"{web}{hint}".strip() + "\n" if web or hint else ""))


def _example(questions: Sequence[Question]) -> str:
    """Return an entry that would answer for several of the hosts; "" where there is none to speak of."""
    names = {each.host for each in questions if as_address(each.host) is None}
    above = Counter(name.partition(".")[2] for name in names)
    parent, times = max(above.items(), key=lambda item: item[1], default=("", 0))
    if times > 1 and "." in parent:
        return f"*.{parent}"
    return f"*.{min(names)}" if names else ""


def _answer(questions: Sequence[Question], screen: TextIO) -> Verdict | tuple[Host, ...] | str | None:
    """Return what was answered: a verdict, entries, or "e" for each by itself; None once nobody needs it."""
    lasting = all(each.lasting for each in questions)
    several = len(questions) > 1
    prompt = (f"Allow {'them' if several else 'it'}? (o)nce, for this (s)ession"
              f"{', (a)lways for this project' if lasting else ''}, {'(e)ach by itself, ' if several else ''}(n)o: ")
    while (reply := _reply(questions, screen, prompt)) is not None:
        answer = reply.strip().lower()
        if "." in answer or ":" in answer:
            try:
                return _entries(questions, answer)
            except ValueError as error:
                screen.write(f"{reveal(str(error))}\n")
            continue
        if several and answer[:1] == "e":
            return "e"
        verdict = _ANSWERS.get(answer[:1])
        if verdict and (lasting or verdict is not Verdict.ALWAYS):
            return verdict
    return None


def _entries(questions: Sequence[Question], text: str) -> tuple[Host, ...]:
    """Return the entries that somebody typed. Raises ValueError if they are none, or answer none of the questions."""
    meant = parse(text)
    if meant != (False, False, False, meant.hosts):
        raise ValueError("only hosts can be allowed here")
    if not _covered(questions, meant.hosts):
        raise ValueError("that allows nothing of what is asked for")
    return meant.hosts


def _covered(questions: Sequence[Question], entries: Sequence[Host]) -> list[Question]:
    return [each for each in questions if any(entry.covers(each.host, each.port) for entry in entries)]


def _reply(questions: Sequence[Question], screen: TextIO, prompt: str) -> str | None:
    """Return the line that was typed; None once the questions are over. Raises EOFError."""
    screen.write(prompt)
    screen.flush()
    while not select.select([sys.stdin], [], [], _LOOK)[0]:
        if all(each.is_over.is_set() for each in questions):
            return None
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line
