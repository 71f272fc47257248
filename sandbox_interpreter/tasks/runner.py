"""Many tasks at once: workers that take one after the other, the early end, and one report of all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

from sandbox_interpreter.tasks.place import Places, Source, Stopped, Switch
from sandbox_interpreter.tasks.results import Report, TaskResult, skipped
from sandbox_interpreter.tasks.tries import Tries

LEAVING_SECONDS = 10.0
"""Seconds that workers have to leave once their sandboxes are gone; one that waits for a model is left behind."""


class Board(Protocol):
    """Where people see how far it is. Called in one thread."""

    def started(self, name: str) -> None:
        """Show that a task runs."""

    def ended(self, result: TaskResult) -> None:
        """Show what it came to."""


@dataclass(frozen=True)
class _Event:
    """A task that has begun (without ``result``) or ended; ``error`` is a fault of ours in it."""

    index: int
    result: TaskResult | None = None
    error: BaseException | None = None


class TaskRunner:
    """Runs tasks, ``parallel`` of them at once; ``fail_fast`` begins no other once one has not passed.

    ``make_source`` is called once a worker. What is raised in ``run``, a KeyboardInterrupt say, ends every sandbox
    first; ``report`` then tells what ran.
    """

    def __init__(self, tasks: Sequence[Tries], *, switch: Switch, make_source: Callable[[], Source],
                 parallel: int = 1, fail_fast: bool = False) -> None:
        self._tasks = tasks
        self._switch = switch
        self._make_source = make_source
        self._parallel = min(parallel, len(tasks))
        self._fail_fast = fail_fast
        self._events: SimpleQueue[_Event | None] = SimpleQueue()
        self._waiting: SimpleQueue[int] = SimpleQueue()
        self._results: dict[int, TaskResult] = {}
        self._begun = time.monotonic()

    def run(self, board: Board) -> None:
        """Run them all, or until the first that fails. Raises what a worker met that is no result."""
        for index in range(len(self._tasks)):
            self._waiting.put(index)
        workers = [threading.Thread(target=self._work, name="sbi-task", daemon=True) for _ in range(self._parallel)]
        for worker in workers:
            worker.start()
        try:
            self._watch(board)
        except BaseException:
            self._switch.turn_off()
            deadline = time.monotonic() + LEAVING_SECONDS
            for worker in workers:
                worker.join(max(deadline - time.monotonic(), 0))
            self._take_the_rest(board)
            raise

    def report(self, *, ended_by: int = 0) -> Report:
        """Return what all tasks came to so far; ``ended_by`` is the signal that ended it early."""
        why = "It was not run, or not to its end, since everything was ended." if ended_by else \
            "It was not run, since another task did not pass."
        missing = {index: (each.task.name, str(each.task.file)) for index, each in enumerate(self._tasks)
                   if index not in self._results}
        rest = dict(zip(missing, skipped(missing.values(), why), strict=True))
        results = self._results | rest
        return Report([results[index] for index in sorted(results)], time.monotonic() - self._begun, ended_by)

    def _watch(self, board: Board) -> None:
        """Take what workers tell until all of them have left."""
        living = self._parallel
        while living:
            event = self._events.get()
            if event is None:
                living -= 1
            else:
                self._take(event, board)

    def _take(self, event: _Event, board: Board) -> None:
        if event.error:
            raise event.error
        if event.result is None:
            board.started(self._tasks[event.index].task.name)
            return
        self._results[event.index] = event.result
        board.ended(event.result)

    def _drain(self) -> None:
        """Let no other task begin; those that run come to their end."""
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()

    def _take_the_rest(self, board: Board) -> None:
        """Take the results that were under way when it ended early."""
        with suppress(Empty, OSError):  # a board that nobody reads may be the reason for the end
            while True:
                event = self._events.get_nowait()
                if event and event.result:
                    self._take(event, board)

    def _work(self) -> None:
        """Run tasks until there is none, in a thread of its own."""
        index = -1
        try:
            with Places(self._switch, self._make_source()) as places:
                while True:
                    index = self._waiting.get_nowait()
                    self._events.put(_Event(index))
                    result = self._tasks[index].run(places)
                    if self._fail_fast and result.status != "passed":
                        self._drain()
                    self._events.put(_Event(index, result))
        except (Empty, Stopped):
            pass
        except BaseException as error:  # a fault of ours must not look like tasks that hang
            self._events.put(_Event(index, error=error))
        finally:
            self._events.put(None)
