"""One run on its node: read as it goes, and kept until the driver takes it."""

from __future__ import annotations

import threading
from typing import Protocol

from sandbox_interpreter.cluster.orders import Taken
from sandbox_interpreter.sandbox.chunks import Run
from sandbox_interpreter.sandbox.outputs import Display, Failure, Output, Stream

MOST_KEPT = 4 * 1024 * 1024
"""Bytes that wait to be taken; a driver that is slow slows the program down, and nobody's memory grows."""
_OUTPUT = 64
"""Bytes that an output counts for besides its content."""


class Running(Run, Protocol):
    """A run that can be told to stop."""

    def interrupt(self, *, hard: bool = False) -> None:
        """Ask the program to stop."""


class Relay:
    """Reads ``run`` in a thread of its own. Thread-safe."""

    def __init__(self, run: Running) -> None:
        self._run = run
        self._changed = threading.Condition()
        self._outputs: list[Output] = []
        self._size = 0
        self._dropped = self._ended = False
        self._error: BaseException | None = None
        self._reader = threading.Thread(target=self._read, name="sbi-relay", daemon=True)
        self._reader.start()

    def take(self, seconds: float) -> Taken:
        """Return what the run has said since the last time, at once if there is any, else within ``seconds``.

        Raises what iterating over the run raises.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._outputs or self._ended, seconds)
            outputs, self._outputs, self._size = self._outputs, [], 0
            self._changed.notify_all()
            if self._error and not outputs:
                raise self._error
            over = self._ended and not self._error
            return Taken(tuple(outputs), self._run.result if over else None)

    def interrupt(self, *, hard: bool = False) -> None:
        """Ask the program to stop: SIGINT, then harder."""
        self._run.interrupt(hard=hard)

    def abandon(self) -> None:
        """Interrupt the run, and return when it has ended; what it still says is dropped."""
        with self._changed:
            self._dropped = True
            self._changed.notify_all()
        self._run.interrupt()
        self._reader.join()

    def _read(self) -> None:
        try:
            for output in self._run:
                self._keep(output)
        except BaseException as error:  # whoever takes is told
            self._error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _keep(self, output: Output) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._size < MOST_KEPT or self._dropped)
            if not self._dropped:
                self._outputs.append(output)
                self._size += _size(output)
                self._changed.notify_all()


def _size(output: Output) -> int:
    match output:
        case Stream(data=data):
            return _OUTPUT + len(data)
        case Display(data=forms):
            return _OUTPUT + sum(map(len, forms.values()))
        case Failure(traceback=text):
            return _OUTPUT + len(text)
    return _OUTPUT
