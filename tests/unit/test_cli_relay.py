from __future__ import annotations

import json
import os
import pty
import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from sandbox_interpreter.cli import relay
from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.outputs import ActiveLine, Display, ExecResult, Failure, Output, Stream


class Finished:
    """A run whose outputs are known; it stands in for Execution, which needs a container."""

    def __init__(self, *outputs: Output) -> None:
        self._outputs = outputs
        self.result = ExecResult(0, 1.0)
        self.killed = False

    def __iter__(self) -> Iterator[Output]:
        return iter(self._outputs)

    def close(self) -> None:
        """Nothing goes on."""

    def interrupt(self, *, hard: bool = False) -> None:
        """Note that someone lost patience."""
        self.killed = hard


class Album:
    def __init__(self) -> None:
        self.pictures: list[tuple[str, bytes]] = []

    def save(self, kind: str, data: bytes) -> None:
        self.pictures.append((kind, data))


def finished(*outputs: Output) -> Execution:
    return cast(Execution, Finished(*outputs))


def test_streams_arrive_byte_for_byte_and_apart(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    everything = bytes(range(256))
    relay.relay_streams(finished(Stream("stdout", everything), Stream("stderr", b"\xff\x1b]0;x\x07"),
                                 Stream("stdout", b"\xe2\x82"), ActiveLine(1), Stream("stdout", b"\xac"),
                                 Failure("KernelDied", "memory", "It died: memory\n")), Album())
    assert capfdbinary.readouterr() == (everything + b"\xe2\x82\xac", b"\xff\x1b]0;x\x07It died: memory\n")


def test_pictures_are_kept_and_other_values_are_their_text(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    album = Album()
    relay.relay_streams(finished(Display({"text/plain": b"<Figure>", "image/png": b"PNG"}),
                                 Display({"image/svg+xml": b"<svg/>"}), Display({"text/plain": b"42"}, result=True),
                                 Display({"application/json": b"{}"})), album)
    assert album.pictures == [("png", b"PNG"), ("svg", b"<svg/>")]
    assert capfdbinary.readouterr() == (b"42\n", b"")


def test_json_is_one_chunk_a_line_in_ascii(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    album = Album()
    relay.relay_json(finished(Stream("stdout", "ü\x1b[2J\u2028".encode()), Stream("stderr", b"\xffline\n"),
                              Display({"image/png": b"PNG"})), album)
    out, err = capfdbinary.readouterr()
    lines = out.decode("ascii").splitlines()
    head: dict[str, Any] = {"role": "computer", "type": "console", "format": "output"}
    image: dict[str, Any] = {"role": "computer", "type": "image", "format": "base64.png"}
    assert [json.loads(line) for line in lines] == [
        head | {"start": True}, head | {"content": "ü\x1b[2J\u2028"}, head | {"content": "\ufffdline\n"},
        head | {"end": True}, image | {"start": True}, image | {"content": "UE5H"}, image | {"end": True}]
    assert (err, album.pictures) == (b"", [("png", b"PNG")])


def sent(*pieces: bytes, colour: bool = True) -> str:
    """Return what a terminal receives when ``pieces`` are written to it one after the other."""
    reader, terminal = pty.openpty()
    sink = relay.Sink(terminal, colour=colour)
    for piece in pieces:
        sink.write(piece)
    sink.close()
    os.write(terminal, b"\x04")
    received = b""
    while not received.endswith(b"\x04"):
        received += os.read(reader, 65536)
    os.close(reader)
    os.close(terminal)
    return received[:-1].decode()


def test_a_terminal_gets_style_but_no_other_sequence_whole_or_split() -> None:
    assert sent(b"\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"
    assert sent(b"\x1b[31mred\x1b[0m", colour=False) == "red"
    assert sent(b"\x1b", b"]52;c;eA==\x07") == "␛]52;c;eA==␇"
    assert sent("\x9b2J".encode()[:1], "\x9b2J".encode()[1:]) == "⟨U+009B⟩2J"
    assert sent(b"\xe2\x82", b"\xac \xe2") == "€ \ufffd"
    assert sent(b"end \x1b[3") == "end ␛[3"


def test_a_slow_reader_of_a_non_blocking_pipe_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data, received = os.urandom(1024 * 1024), bytearray()

    def read() -> None:
        time.sleep(0.05)
        while piece := os.read(reader, 65536):
            received.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    relay.write_all(writer, data)
    os.close(writer)
    thread.join()
    os.close(reader)
    assert received == data


def test_a_reader_that_left_is_a_broken_pipe() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        relay.write_all(writer, b"x")
    os.close(writer)


def test_a_run_whose_reader_left_is_killed_and_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(*_: object) -> None:
        raise BrokenPipeError

    run = Finished(Stream("stdout", b"x"))
    monkeypatch.setattr(relay, "write_all", leave)
    with pytest.raises(BrokenPipeError):
        relay.relay_json(cast(Execution, run), Album())
    assert run.killed


def test_a_full_disk_is_told() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(TransferError, match="No space left on device"):
        relay.write_all(full, b"x")
    os.close(full)
