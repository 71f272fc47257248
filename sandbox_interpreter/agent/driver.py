"""A kernel that is a program in its own language: it is told what to run, and says what came of it, in lines of words.

    execute LANGUAGE ASK SIZE     and SIZE bytes of code; ASK is 1 if someone answers input requests, else 0
    reply SIZE                    and SIZE bytes: the answer to ``input``
    seen                          a ``display`` has its place in the output

    done EXIT_CODE                the cell has ended
    display RESULT MIME SIZE …    and the bytes of each form; RESULT is 1 for the value of a cell's last expression
    error NAME VALUE SIZE         and SIZE bytes of traceback
    input PROMPT PASSWORD         asks for a line; PASSWORD is 1 if it must not be shown

The first three are read from descriptor 3, the others written to descriptor 4. A byte of a word that is not a visible
ASCII character, and a percent sign, is written as % and two hexadecimal digits, as in a URL.

A kernel whose record says that it is guarded writes a "." to descriptor 5 when a cell may be interrupted, and reads one
byte from there before it leaves the cell; a "!" tells that an interrupt was sent. No other time brings one.
"""

from __future__ import annotations

import os

from . import signals
from .frames import Frame, FrameError
from .kernel import Kernel
from .process import hand_down
from .shell import cell_file, remove_cell_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .main import Agent
    from .request import Request

MOST_LINE = 16 * 1024
MOST_PAYLOAD = 64 * 1024 * 1024
PIECE = 256 * 1024  # bytes of a payload in one frame: each is sent when there is credit for it


class DriverKernel(Kernel):
    """Runs cells in a program of the language's own. ``command`` ends in the name of the file that holds ``source``."""

    def __init__(self, agent: Agent, command: list[str], source: bytes, *, guarded: bool) -> None:
        super().__init__(agent, command[-1])
        self.guarded = guarded
        self._unread = bytearray()
        self._message: tuple[str, dict[str, Any], int] | None = None
        self._file = cell_file(command[-1], source, "")
        self.spawn(lambda: _serve([*command[:-1], self._file], guarded=guarded))

    def submit(self, request: Request) -> None:
        """Send the cell."""
        self._tell(f"execute {request.language} {int(request.stdin == 'ask')}", request.code)

    def reply(self, line: bytes) -> None:
        """Answer an input request."""
        self._tell("reply", line)

    def _tell(self, words: str, payload: bytes) -> None:
        assert self.outbox is not None
        self.outbox.push(b"%s %d\n%s" % (words.encode("ascii"), len(payload), payload))

    def _seen(self, frame: Frame) -> None:
        if frame.type == "display_data" and not frame.header.get("more"):
            assert self.outbox is not None
            self.outbox.push(b"seen\n")

    def end(self) -> None:
        """Kill the process group, and remove the program's file."""
        super().end()
        remove_cell_file(self._file)

    # --- what it says ---

    def decode(self, data: bytes) -> list[Frame]:
        """Return the frames of the messages that ``data`` completes. Raises FrameError."""
        self._unread += data
        return list(self._messages())

    def _messages(self) -> Iterator[Frame]:
        while True:
            if self._message is None:
                end = self._unread.find(b"\n", 0, MOST_LINE)
                if end < 0:
                    if len(self._unread) >= MOST_LINE:
                        raise FrameError("a line without an end")
                    return
                self._message = _parse(self._unread[:end].decode("ascii", "replace").split(" "))
                del self._unread[: end + 1]
            kind, header, size = self._message
            if len(self._unread) < size:
                return
            payload, self._message = bytes(self._unread[:size]), None
            del self._unread[:size]
            for start in range(0, max(size, 1), PIECE):
                more = {"more": True} if start + PIECE < size else {}
                yield Frame(kind, header | more, payload[start : start + PIECE])


def _parse(words: list[str]) -> tuple[str, dict[str, Any], int]:
    """Return type, header and payload's size of the frame that a message stands for. Raises FrameError."""
    kind, count = words[0], len(words)
    try:
        if kind == "done" and count == 2:
            return "done", {"exit_code": int(words[1]) & 0xFF, "limit": None}, 0
        if kind == "input" and count == 3:
            return "input_request", {"prompt": _text(words[1]), "password": words[2] == "1"}, 0
        if kind == "error" and count == 4:
            return "error", {"ename": _text(words[1]), "evalue": _text(words[2])}, _size(int(words[3]))
        if kind == "display" and count % 2 == 0:
            parts = {_text(words[at]): _size(int(words[at + 1])) for at in range(2, count, 2)}
            return "display_data", {"parts": parts, "result": words[1] == "1", "count": 0}, _size(sum(parts.values()))
    except ValueError:
        pass
    raise FrameError(f"a kernel has no message {kind[:20]!r} with {count - 1} words")


def _size(size: int) -> int:
    if not 0 <= size <= MOST_PAYLOAD:
        raise FrameError(f"a message of {size} bytes")
    return size


def _text(word: str) -> str:
    """Return a word as it was before it was made fit for a line."""
    from urllib.parse import unquote

    return unquote(word)


def _serve(command: list[str], *, guarded: bool) -> None:
    hand_down(guarded=guarded)
    signals.restore_for_program()
    os.execvp(command[0], command)  # the image's, which the agent has looked for


