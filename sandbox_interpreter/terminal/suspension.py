"""Ctrl-Z while something is drawn: the shell finds its terminal as it should be, and fg goes on with the drawing."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Self

_AGAIN = 0.05
"""Seconds after which the main thread is sent a signal that it may have missed."""


class Suspension:
    """A context, for the main thread, in which Ctrl-Z calls ``leave`` before the process stops, ``come_back`` after.

    A handler runs in the midst of anything, even where a lock is held that they need, so another thread calls them.
    Where something else answers to Ctrl-Z already, nothing is done.
    """

    def __init__(self, leave: Callable[[], None], come_back: Callable[[], None]) -> None:
        self._leave = leave
        self._come_back = come_back
        self._asked, self._left, self._went_on = threading.Event(), threading.Event(), threading.Event()
        self._over = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()  # no other may say what happens to signals
        if is_main and signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
            self._over = False
            self._asked.clear()
            self._thread = threading.Thread(target=self._serve, name="sbi-suspension", daemon=True)
            self._thread.start()
            signal.signal(signal.SIGTSTP, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread:
            self._over = True
            self._asked.set()
            self._thread.join()
            self._thread = None
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def _press(self, *_: int | FrameType | None) -> None:
        if not self._left.is_set():
            self._asked.set()
            return
        self._left.clear()
        # Not SIGSTOP: the kernel passes over a SIGTSTP where no shell is there to go on with this process.
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._press)
        self._went_on.set()

    def _serve(self) -> None:
        main = threading.main_thread().ident
        while self._asked.wait() and not self._over and main is not None:
            self._leave()
            self._left.set()
            # A signal wakes a call that waits, but not one that is just about to: so again, until it was noticed.
            while not self._went_on.is_set():
                signal.pthread_kill(main, signal.SIGTSTP)
                self._went_on.wait(_AGAIN)
            self._went_on.clear()
            self._come_back()
            time.sleep(_AGAIN)  # one signal too many may be on its way
            self._asked.clear()
