"""A message that takes long, written down in pieces: what a kill leaves of it is what was there a second before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sandbox_interpreter.sessions.redact import Redactor

SECONDS = 1.0
"""How long a piece waits to be written; a message that is whole sooner is never written in pieces."""


class Draft:
    """Collects the text of one open message, and gives it to ``write``, without secrets, every second that it grows."""

    def __init__(self, head: dict[str, Any], redactor: Redactor, write: Callable[[dict[str, Any]], object]) -> None:
        self._head = head
        self._redactor = redactor
        self._write = write
        self._lock = threading.Lock()
        self._texts: list[str] = []
        self._timer: threading.Timer | None = None
        self._over = False

    def add(self, text: str) -> None:
        """Take the next piece."""
        with self._lock:
            self._texts.append(text)
            if self._timer is None and not self._over:
                self._timer = threading.Timer(SECONDS, self._flush)
                self._timer.daemon = True
                self._timer.start()

    def end(self) -> None:
        """Write no more: the message is whole, and written so."""
        with self._lock:
            self._over = True
            if self._timer:
                self._timer.cancel()

    def _flush(self) -> None:
        with self._lock:
            self._timer = None
            if self._over:
                return
            text = self._redactor.text("".join(self._texts))
            # The end waits for what follows: a secret may have come by half.
            cut = max(len(text) - max(self._redactor.longest - 1, 0), 0)
            piece, self._texts = text[:cut], [text[cut:]]
            if piece:
                self._write({**self._head, "content": piece})
