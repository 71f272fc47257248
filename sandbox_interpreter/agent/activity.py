"""What a cell is doing: the line that runs now, and prints without a newline, both seen by a timer.

Nothing is injected into user code. The thread sleeps while no cell runs.
"""

from __future__ import annotations

import _thread
import os
import sys

from .control import Control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

PERIOD = 0.05  # seconds; a person sees no difference below


class Activity:
    """A daemon thread that looks at the main thread's frame."""

    def __init__(self, control: Control) -> None:
        """Watch the calling thread; _thread serves, since the threading module costs 2 ms of a first cell."""
        self._control = control
        self._main = _thread.get_ident()
        self._idle = _thread.allocate_lock()  # held while no cell runs
        self._idle.acquire()
        self._lock = _thread.allocate_lock()
        self._cell: str | None = None
        self._report = False
        self._line: int | None = None
        # A fork while the timer holds the stream's lock would leave the child with a lock that nobody holds.
        os.register_at_fork(before=self._lock.acquire, after_in_parent=self._lock.release,
                            after_in_child=self._lock.release)
        _thread.start_new_thread(self._run, ())

    def begin(self, cell: str, *, report: bool) -> None:
        """Watch a cell; report its lines if asked to."""
        with self._lock:
            self._cell, self._report, self._line = cell, report, None
        if self._idle.locked():
            self._idle.release()

    def stop(self) -> None:
        """Watch no more; nothing is said of the cell after this returns."""
        with self._lock:
            self._cell = None
            if self._report and self._line is not None:
                self._control.send("active_line", line=None)

    def _run(self) -> None:
        import time

        while True:
            self._idle.acquire()
            while self._cell is not None:
                time.sleep(PERIOD)
                with self._lock:
                    if self._cell is not None:
                        self._look()

    def _look(self) -> None:
        try:
            sys.stdout.flush()
        except (OSError, ValueError, AttributeError):
            pass  # the program closed or replaced it
        if self._report:
            line = self._current_line(sys._current_frames().get(self._main))
            if line != self._line and line is not None:
                self._line = line
                self._control.send("active_line", line=line)

    def _current_line(self, frame: FrameType | None) -> int | None:
        while frame is not None and frame.f_code.co_filename != self._cell:
            frame = frame.f_back
        return frame.f_lineno if frame is not None else None
