"""The machine's engine behind a socket that freezes when it is told to, as an engine does that hangs."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PIECE = 1 << 16


class FreezingEngine:
    """Passes everything on to the engine until somebody asks or is told what ``at`` finds: then nothing any more.

    ``at`` looks at each piece of a stream, a request's head being the beginning of one: ``POST /v1.41/build``.
    """

    def __init__(self, folder: Path, real: str) -> None:
        self.address = f"unix://{folder}/api.sock"
        self._real = real
        self._at: re.Pattern[bytes] | None = None
        self.frozen = threading.Event()
        self.unanswered = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{folder}/api.sock")
        self._listener.listen(100)
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self, at: str = "") -> None:
        """Freeze where ``at`` is found, a regular expression; at once without it."""
        self._at = re.compile(at.encode()) if at else None
        if not at:
            self.frozen.set()

    def thaw(self) -> None:
        """Pass things on again; whoever waited still has heard nothing."""
        self._at = None
        self.frozen.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._real)
                self._sockets += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(PIECE):
                if self._at and self._at.search(piece):
                    self.frozen.set()
                if self.frozen.is_set():
                    self.unanswered += 1
                    return
                target.sendall(piece)
            if not self.frozen.is_set():
                target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End everything."""
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


@contextmanager
def freezing(folder: Path, real: str) -> Iterator[FreezingEngine]:
    """Give such an engine in front of the one whose socket is ``real``."""
    engine = FreezingEngine(folder, real)
    try:
        yield engine
    finally:
        engine.close()
