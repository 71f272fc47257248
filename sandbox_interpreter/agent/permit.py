"""The right to interrupt a kernel: a byte in a pipe, which only one of the two sides can take out.

A program in another language cannot hold signals back. While node or bash begins or ends a cell, a SIGINT would meet no
handler at all, or that of the wrong cell. So such a kernel puts a byte into this pipe once its handler stands for a
cell, and takes it out before it leaves the cell. The agent sends SIGINT only with that byte in its hand, and puts
another one back, from which the kernel knows that it was interrupted, wherever the signal found it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .poller import Poller

USED = b"!"  # a kernel's own byte is any other


def pipe() -> tuple[int, int]:
    """Return the kernel's end and the agent's, each to read and to write; only the agent's never blocks.

    Opened anew, since two descriptors of one open pipe would share that.
    """
    reader, writer = os.pipe()
    try:
        name = f"/proc/self/fd/{reader}"
        return os.open(name, os.O_RDWR), os.open(name, os.O_RDWR | os.O_NONBLOCK)
    finally:
        os.close(reader)
        os.close(writer)


class Permit:
    """The agent's side of the pipe of one kernel. ``interrupt`` sends the signal."""

    def __init__(self, poller: Poller, descriptor: int, interrupt: Callable[[], None]) -> None:
        self._poller = poller
        self._descriptor = descriptor
        self._interrupt = interrupt

    def use(self) -> None:
        """Interrupt now, or as soon as the kernel allows it."""
        try:
            os.read(self._descriptor, 1)
        except BlockingIOError:
            self._poller.listen(self._descriptor, self.use)
            return
        self.drop()
        self._interrupt()
        try:
            os.write(self._descriptor, USED)
        except BlockingIOError:
            pass  # the program has filled the pipe, and has more bytes than it needs

    def drop(self) -> None:
        """Wait no longer: the cell that was to be interrupted is over."""
        self._poller.forget(self._descriptor)

    def close(self) -> None:
        """Let go of the pipe."""
        self.drop()
        os.close(self._descriptor)
