"""The person's word on connections that no entry allows: what was said is kept for as long as it was meant."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox_interpreter.network import Host

WEB_PORTS = (80, 443)
"""One server in two ways: what is said of a host at one for longer than once holds at the other."""


class Verdict(Enum):
    """What was said of a host at a port; the values are words for the log and for the refused."""

    ONCE = "once"
    SESSION = "for this session"
    ALWAYS = "always"
    NO = "no"
    NOBODY = "nobody was there to ask"

    @property
    def allows(self) -> bool:
        """Tell whether the connection may be made."""
        return self in (Verdict.ONCE, Verdict.SESSION, Verdict.ALWAYS)


Ask = Callable[[str, int], Verdict]
"""Asks the person about a host and a port; it may wait."""


class _Open:
    """A question that is being asked, and its answer for everyone who waits for it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.verdict = Verdict.NOBODY


class Consent:
    """Asks each thing once: a yes for the session, or a no, holds as long as this object. Thread-safe.

    Different things are asked at the same time, so that they can be put to the person together.
    """

    def __init__(self, ask: Ask | None = None, granted: Callable[[str, int], bool] | None = None) -> None:
        """Ask by ``ask``, unless ``granted`` tells that the person has said always before."""
        self._ask = ask
        self._granted = granted or (lambda _host, _port: False)
        self._known: dict[tuple[str, int], Verdict] = {}
        self._entries: list[Host] = []
        self._open: dict[tuple[str, int], _Open] = {}
        self._lock = threading.Lock()

    def allow(self, entries: Sequence[Host]) -> None:
        """Take it that the person allows what ``entries`` cover, for the session."""
        with self._lock:
            self._entries.extend(entries)

    def known(self, host: str, port: int) -> Verdict | None:
        """Return what the person has said already; None if they have to be asked."""
        if any(self._granted(host, each) for each in _same(port)):
            return Verdict.ALWAYS
        with self._lock:
            return self._said(host, port)

    def _said(self, host: str, port: int) -> Verdict | None:
        if verdict := self._known.get((host, _same(port)[0])):
            return verdict
        return Verdict.SESSION if any(entry.covers(host, port) for entry in self._entries) else None

    def ask(self, host: str, port: int) -> Verdict:
        """Return what the person says, or has said; who asks for what is being asked gets the same answer."""
        if known := self.known(host, port):
            return known
        with self._lock:
            if known := self._said(host, port):  # meanwhile
                return known
            waiting = self._open.get((host, port))
            if waiting is None:
                mine = self._open[host, port] = _Open()
        if waiting is not None:
            waiting.over.wait()
            return waiting.verdict
        try:
            mine.verdict = self._ask(host, port) if self._ask else Verdict.NOBODY
        finally:
            self._keep(host, port, mine)
        return mine.verdict

    def _keep(self, host: str, port: int, asked: _Open) -> None:
        with self._lock:
            del self._open[host, port]
            # A no is kept as well: code that asks again and again must not wear anybody down.
            if asked.verdict not in (Verdict.ONCE, Verdict.NOBODY):
                self._known[host, _same(port)[0]] = asked.verdict
        asked.over.set()


def _same(port: int) -> tuple[int, ...]:
    return WEB_PORTS if port in WEB_PORTS else (port,)
