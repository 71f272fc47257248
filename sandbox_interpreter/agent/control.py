"""The kernel's ends of its control pipes, inside the child."""

from __future__ import annotations

import _thread
import os

from .frames import Decoder, Frame, fragments
from .process import HEAR, TELL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# What the agent says to a Python kernel, with the fields that must be there.
CELL_FRAMES: dict[str, dict[str, tuple[type, ...]]] = {
    "execute": {"ask": (bool,), "active_line": (bool,)},
    "reply": {},
    "seen": {"count": (int,)},
}


CLIPPED = 2000  # characters of a text in a header, which is bounded; JSON may take twelve bytes for each


class Control:
    """Frames to and from the agent; blocking, since a kernel has nothing else to wait for."""

    def __init__(self) -> None:
        self._decoder = Decoder(CELL_FRAMES, strict=True)
        self._frames: list[Frame] = []
        self._owner = os.getpid()
        self._lock = _thread.allocate_lock()
        self._main = _thread.get_ident()
        self.sending = False
        self.interrupted = False
        self._displays = 0

    def receive(self) -> Frame | None:
        """Return the next whole message; None when the agent is gone."""
        parts = []
        while True:
            while not self._frames:
                data = os.read(HEAR, 1024 * 1024)
                if not data:
                    return None
                self._frames.extend(self._decoder.feed(data))
            frame = self._frames.pop(0)
            parts.append(frame.payload)
            if not frame.header.get("more"):
                return Frame(frame.type, frame.header, b"".join(parts))

    def send(self, kind: str, payload: bytes = b"", **header: Any) -> None:
        """Write one message whole; a forked child of the program, which is not the kernel, says nothing.

        Raises KeyboardInterrupt after the last byte if an interrupt came meanwhile.
        """
        if os.getpid() != self._owner:
            return
        main = _thread.get_ident() == self._main
        self.sending = self.sending or main
        with self._lock:
            for data in fragments(kind, payload, **header):
                while data:
                    data = data[os.write(TELL, data) :]
        if main:
            self.sending = False
            if self.interrupted:
                self.interrupted = False
                raise KeyboardInterrupt

    def defer_interrupt(self) -> bool:
        """Tell whether an interrupt must wait for the end of a message; ``send`` raises it then."""
        self.interrupted = self.sending
        return self.sending

    def send_display(self, parts: Mapping[str, bytes], *, result: bool) -> None:
        """Write a value or picture in all its forms; return when the agent has noted its place in the output.

        Without the wait, what is printed next could overtake it: output goes another way than displays do.
        """
        if os.getpid() != self._owner:
            return
        self._displays += 1
        mine = self._displays
        lengths = {mime: len(data) for mime, data in parts.items()}
        self.send("display_data", b"".join(parts.values()), parts=lengths, result=result, count=mine)
        if _thread.get_ident() != self._main:
            return  # the answers are the main thread's; another thread's display takes the place it gets
        while frame := self.receive():
            if frame.type == "seen" and frame.header["count"] >= mine:
                return
