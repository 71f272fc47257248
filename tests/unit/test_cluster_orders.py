"""What travels between a driver and a node stays small, and a node does nothing but what it knows."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.cluster import rays
from sandbox_interpreter.cluster.orders import INLINE, opened, sealed
from sandbox_interpreter.cluster.relay import MOST_KEPT, Relay
from sandbox_interpreter.cluster.shelf import Shelf
from sandbox_interpreter.cluster.slot import Slot
from sandbox_interpreter.errors import EngineUnreachable, SandboxClosed
from sandbox_interpreter.sandbox.outputs import ExecResult, Output, Stream

# --- what goes there ---


def test_an_environment_travels_in_pieces_that_stay_out_of_the_object_store() -> None:
    secrets = {"A": "ü" * 100_000, "B": "b"}
    pieces = sealed({"C": "c"}, secrets)
    assert opened(pieces) == {"env": {"C": "c"}, "secrets": secrets}
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= INLINE


def test_a_file_is_put_once_for_many_tasks_and_anew_when_it_has_changed(tmp_path: Path,
                                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[bytes] = []

    def keep(data: bytes) -> int:
        put.append(data)
        return len(put)

    monkeypatch.setattr(rays, "put", keep)
    shelf = Shelf()
    file = tmp_path / "in"

    def pieces() -> Any:
        with file.open("rb") as opened_file:
            return shelf.pieces(opened_file)

    file.write_bytes(b"x" * (INLINE - 1))
    assert pieces() == [file.read_bytes()]
    file.write_bytes(os.urandom(INLINE * 3))
    first = pieces()
    assert first == [file.read_bytes()[:INLINE], 1]
    assert pieces() is first
    assert len(put) == 1
    file.write_bytes(os.urandom(INLINE * 3 + 1))
    assert pieces() == [file.read_bytes()[:INLINE], 2]
    assert shelf.pieces(io.BytesIO(b"y" * INLINE)) == [b"y" * INLINE]
    assert b"".join(put) == put[0] + put[1]


def test_a_slot_answers_nothing_but_what_it_knows_and_no_former_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("begin", "clear_soon"):
        monkeypatch.setattr(f"sandbox_interpreter.cluster.watch.{name}", lambda: None)
    slot = Slot()
    for number, name in ((1, "start"), (1, "_relay"), (1, "__class__")):
        with pytest.raises(SandboxClosed):
            slot.call(number, name)


# --- a run on its node ---


class Runs:
    """Stands for a run: gives the outputs that it was made with, and stops when it is told to."""

    def __init__(self, outputs: Iterator[Output], error: Exception | None = None) -> None:
        self._outputs = outputs
        self._error = error
        self.stopped = threading.Event()
        self.result = ExecResult(0, 1.0)

    def __iter__(self) -> Iterator[Output]:
        for output in self._outputs:
            if self.stopped.is_set():
                return
            yield output
        if self._error:
            raise self._error

    def interrupt(self, *, hard: bool = False) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.stopped.set()


def flood() -> Iterator[Output]:
    while True:
        yield Stream("stdout", b"x" * 1024)


def test_a_relay_keeps_a_bounded_part_of_a_flood_and_lets_it_go() -> None:
    relay = Relay(Runs(flood()))
    taken = relay.take(10)
    assert taken.outputs
    assert sum(len(each.data) for each in taken.outputs if isinstance(each, Stream)) <= MOST_KEPT
    relay.abandon()
    assert relay.take(10).result == ExecResult(0, 1.0)


def test_a_relay_tells_outputs_before_the_error_that_ended_them() -> None:
    relay = Relay(Runs(iter([Stream("stdout", b"a")]), EngineUnreachable("gone")))
    assert relay.take(10).outputs == (Stream("stdout", b"a"),)
    with pytest.raises(EngineUnreachable):
        relay.take(10)
