"""Questions that come up while code runs, put to the person by the thread that reads the run: the screen is its own.

Whoever dials asks and waits. Where no run is being read, or nobody is there, the answer is that nobody is. A page asks
for a dozen hosts at once: what comes together is put together.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sandbox_interpreter.sandbox.consent import Verdict

if TYPE_CHECKING:
    from sandbox_interpreter.network import Host

GATHER_SECONDS = 0.2
"""Seconds without a further question after which those that are open are put."""
_MOST_GATHERING = 5
"""Times that this goes on: code that asks for ever does not put its question off for ever."""
Known = Callable[[], "Verdict | None"]
"""Returns the answer to a question if there is one by now."""


class Question:
    """Whether code may reach ``host`` at ``port``; ``lasting`` tells whether a yes can be kept for the project."""

    def __init__(self, host: str, port: int, *, lasting: bool, known: Known = lambda: None) -> None:
        self.host = host
        self.port = port
        self.lasting = lasting
        self.known = known
        self.verdict = Verdict.NOBODY
        self.entries: Sequence[Host] = ()
        """What the person allows for the session beyond what was asked."""
        self.is_over = threading.Event()
        """Set once nobody needs the answer any more: it is there, or the run was stopped."""


Person = Callable[[Sequence[Question]], None]
"""Puts questions to the person and gives each its verdict; it stops asking when they are over."""


class Questions:
    """The open questions of a sandbox. ``person`` is set while somebody is there; ``attend`` is the reader's."""

    def __init__(self, *, lasting: bool = False) -> None:
        self.lasting = lasting
        self.person: Person | None = None
        self._lock = threading.Lock()
        self._open: deque[Question] = deque()
        self._put: list[Question] = []
        self._attending = threading.Lock()
        self._wake: Callable[[], None] | None = None

    def ask(self, host: str, port: int, *, known: Known = lambda: None) -> Question:
        """Return the question with what the person says; it waits for them.

        ``known`` is looked at before it is put: an answer to another question may be one to this.
        """
        question = Question(host, port, lasting=self.lasting, known=known)
        with self._lock:
            if self.person is None or self._wake is None:
                return question
            self._open.append(question)
            self._wake()
        question.is_over.wait()
        return question

    @contextmanager
    def read_by(self, wake: Callable[[], None]) -> Iterator[None]:
        """Let questions come up within: ``wake`` makes the reader of the run attend to them."""
        with self._lock:
            before, self._wake = self._wake, wake
        try:
            yield
        finally:
            with self._lock:
                self._wake = before
            self.drop()

    def attend(self) -> None:
        """Put every open question to the person, in the calling thread."""
        if not self._open or not self._attending.acquire(blocking=False):
            return
        try:
            while self._open:
                self._gather()
                self._put_all()
        finally:
            self._attending.release()

    def _gather(self) -> None:
        """Wait until no more questions come."""
        for _ in range(_MOST_GATHERING):
            before = len(self._open)
            time.sleep(GATHER_SECONDS)
            if len(self._open) == before:
                return

    def _put_all(self) -> None:
        """Put those that are open by now."""
        while self._open:
            self._put.append(self._open.popleft())
        try:
            wanted = []
            for question in self._put:
                if verdict := question.known():
                    question.verdict = verdict
                elif not question.is_over.is_set():
                    wanted.append(question)
            if wanted and self.person is not None:
                self.person(wanted)
        finally:
            for question in self._put:
                question.is_over.set()
            self._put = []

    def drop(self) -> None:
        """Let nobody wait any more for an answer: the run was stopped, or has ended."""
        for question in (*self._open, *self._put):
            question.is_over.set()
