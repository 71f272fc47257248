from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import cast

import pytest

from sandbox_interpreter.cli import signals
from sandbox_interpreter.cli.signals import Stops
from sandbox_interpreter.sandbox.execution import Execution


class Run:
    """What Stops asks of a run, noted down."""

    def __init__(self) -> None:
        self.interrupts: list[bool] = []
        self.told = threading.Event()

    def interrupt(self, *, hard: bool = False) -> None:
        self.interrupts.append(hard)
        self.told.set()


def send(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0.01)  # the handler runs at the next bytecode of the main thread


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in
              (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTTIN)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def watched(stops: Stops) -> Run:
    run = Run()
    stops.watch(cast(Execution, run))
    return run


def test_ctrl_c_interrupts_the_run_and_raises_nothing() -> None:
    with Stops() as stops:
        run = watched(stops)
        send(signal.SIGINT)
        assert run.told.wait(5)
    assert run.interrupts == [False]


def test_whoever_waits_for_the_terminal_is_roused_behind_each_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    roused: SimpleQueue[bool] = SimpleQueue()
    with Stops() as stops:
        run = watched(stops)
        monkeypatch.setattr(signals, "rouse", lambda: roused.put(run.told.is_set()))
        send(signal.SIGINT)
        assert roused.get(timeout=5)


def test_a_second_ctrl_c_within_a_second_ends_all() -> None:
    with Stops() as stops:
        run = watched(stops)
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert run.told.wait(5)


def test_a_later_ctrl_c_interrupts_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "TWICE", 0.0)
    with Stops() as stops:
        run = watched(stops)
        for _ in range(2):
            run.told.clear()
            send(signal.SIGINT)
            assert run.told.wait(5)
    assert run.interrupts == [False, False]


def test_ctrl_c_while_nothing_runs_ends_at_once() -> None:
    with Stops(), pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_being_told_to_end_kills_the_run_and_exits_with_the_signal(number: int, code: int) -> None:
    with Stops() as stops:
        run = watched(stops)
        with pytest.raises(SystemExit) as caught:
            send(number)
        assert run.told.wait(5)
    assert (caught.value.code, run.interrupts) == (code, [True])


def protected(stops: Stops, passed: list[int], *numbers: int) -> None:
    """Send signals in a protected context, noting down which of them let it go on."""
    with stops.protected():
        for number in numbers:
            send(number)
            passed.append(number)


def test_a_signal_waits_for_the_end_of_what_is_protected() -> None:
    passed: list[int] = []
    with Stops() as stops, pytest.raises(SystemExit) as caught:
        protected(stops, passed, signal.SIGTERM)
    assert (passed, caught.value.code) == ([signal.SIGTERM], 143)


def test_a_second_signal_does_not_wait() -> None:
    passed: list[int] = []
    with Stops() as stops, pytest.raises(KeyboardInterrupt):
        protected(stops, passed, signal.SIGTERM, signal.SIGINT)
    assert passed == [signal.SIGTERM]


@contextmanager
def unprotected(stops: Stops) -> Iterator[None]:
    with Stops.protected(stops):
        stops.unprotect()
        yield


def test_what_takes_long_is_no_longer_protected(monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[int] = []
    with Stops() as stops:
        monkeypatch.setattr(stops, "protected", lambda: unprotected(stops))
        with pytest.raises(KeyboardInterrupt):
            protected(stops, passed, signal.SIGINT)
    assert passed == []


def test_signals_are_ignored_while_the_sandbox_is_removed_and_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Stops() as stops:
        stops.hold()
        send(signal.SIGTERM)
        send(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_the_caller_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Stops() as stops:
        send(signal.SIGHUP)
        stops.hold()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
