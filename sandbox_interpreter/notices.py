"""What a sandbox wants its user to know, on its way to whoever listens."""

from __future__ import annotations

from collections.abc import Callable

from sandbox_interpreter.engines.image_base import Progress
from sandbox_interpreter.sandbox.questions import Person, Questions

_BYTES = 1000
"""A total from which on it counts bytes, not steps: no build has as many steps, no image as few bytes."""


class Notices:
    """Passes on, to whoever listens at that moment, what a sandbox wants its user to know.

    ``listener`` is told sentences that stay true, ``waiting`` what is being waited for, in a few words, as it changes.
    ``record`` is told what the listener is, whoever that is at the time. ``questions`` are what code wants to reach
    that only a person can allow.
    """

    def __init__(self) -> None:
        self.listener: Callable[[str], None] | None = None
        self.waiting: Callable[[str], None] | None = None
        self.record: Callable[[str], None] | None = None
        self.questions = Questions()

    def show_to(self, listener: Callable[[str], None] | None, waiting: Callable[[str], None] | None = None,
                person: Person | None = None) -> None:
        """Tell these, and ask ``person``, from now on."""
        self.listener, self.waiting, self.questions.person = listener, waiting, person

    def __call__(self, text: str) -> None:
        """Tell the listener; nobody listening, nobody is told."""
        if self.record:
            self.record(text)
        if self.listener:
            self.listener(text)

    def copying(self, progress: Progress) -> None:
        """Tell how far the copy of a workspace is."""
        if self.waiting:
            self.waiting(f"{progress.text}: {progress.done * 100 // max(progress.total, 1)} %")

    def step(self, image: str, progress: Progress) -> None:
        """Tell one step of the making of ``image``: announced, or, where steps are counted, waited for."""
        if not progress.total:
            self(progress.text)
        elif self.waiting:
            self.waiting(f"Image {image}: step {progress.done} of {progress.total}: {progress.text}"
                         if progress.total < _BYTES else f"Image {image}: {progress.done * 100 // progress.total} %")
