"""Ctrl-C during a turn: who hears it, and how often."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from sandbox_interpreter.terminal import interrupts
from sandbox_interpreter.terminal.interrupts import TWICE, Interrupts


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_press_interrupts_the_code_and_nothing_else() -> None:
    heard = threading.Event()

    def interrupt() -> bool:
        heard.set()
        return True

    with Interrupts(interrupt):
        press()
        assert heard.wait(5)


def test_a_second_press_within_a_second_stops_the_turn() -> None:
    with Interrupts(lambda: True):
        press()
        time.sleep(0.1)
        with pytest.raises(KeyboardInterrupt):
            press()


def test_whoever_waits_for_the_terminal_is_roused_by_either_press(monkeypatch: pytest.MonkeyPatch) -> None:
    roused = threading.Semaphore(0)
    monkeypatch.setattr(interrupts, "rouse", roused.release)
    with Interrupts(lambda: True):
        press()
        assert roused.acquire(timeout=5)
        with pytest.raises(KeyboardInterrupt):
            press()
        assert roused.acquire(timeout=5)


def test_a_second_press_after_a_second_interrupts_again() -> None:
    presses: list[float] = []

    def interrupt() -> bool:
        presses.append(time.monotonic())
        return True

    with Interrupts(interrupt):
        press()
        time.sleep(TWICE + 0.1)
        press()
        deadline = time.monotonic() + 5
        while len(presses) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_where_nothing_runs_one_press_stops_the_turn_even_in_a_blocking_read() -> None:
    reading, writing = os.pipe()
    threading.Timer(0.2, press).start()
    with Interrupts(lambda: False), pytest.raises(KeyboardInterrupt):
        os.read(reading, 1)
    os.close(reading)
    os.close(writing)


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts(lambda: True):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
    assert not [thread for thread in threading.enumerate() if thread.name == "sbi-interrupts"]


def test_in_another_thread_it_does_nothing() -> None:
    seen: list[object] = []

    def work() -> None:
        with Interrupts(lambda: True):
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
