"""The way to the engine that tests run on, as a cable that a test may cut, or hold so that nothing gets through."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

USUAL = "unix:///var/run/docker.sock"
_PIECE = 1 << 16


class Cable(Protocol):
    """``address`` leads along it; ``holds_new`` tells whether it can hold up those who come later as well."""

    address: str
    holds_new: bool

    def hold(self) -> None:
        """Let nothing through, as an engine that hangs."""

    def let_go(self) -> None:
        """Let everything through again; who has asked meanwhile may hear nothing all the same."""

    def cut(self) -> None:
        """End every connection, and take no new one."""


class Relay:
    """Takes every connection to the engine's socket, or to its port, and passes on what either side says.

    ``held`` is set while nothing is passed on; ``unanswered`` counts what was lost by that.
    """

    holds_new = True

    def __init__(self, target: str, folder: Path) -> None:
        self._target = urlsplit(target)
        self._sockets: list[socket.socket] = []
        self._at: re.Pattern[bytes] | None = None
        self.held = threading.Event()
        self.unanswered = 0
        self._path = folder / "engine.sock"
        if self._target.scheme == "unix":
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._path))
            self._listener.listen(100)
            self.address = f"unix://{self._path}"
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _connected(self) -> socket.socket:
        if self._target.scheme != "unix":
            return socket.create_connection((self._target.hostname, self._target.port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target.path)
        return server

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connected()
                self._sockets += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if self._at and self._at.search(piece):
                    self.held.set()
                if self.held.is_set():
                    self.unanswered += 1
                    return
                sink.sendall(piece)
            if not self.held.is_set():
                sink.shutdown(socket.SHUT_WR)

    def hold(self) -> None:
        """See ``Cable``."""
        self.held.set()

    def hold_at(self, found: str) -> None:
        """Hold as soon as somebody says what a regular expression finds; a request begins ``POST /v1.41/build``."""
        self._at = re.compile(found.encode())

    def let_go(self) -> None:
        """See ``Cable``."""
        self._at = None
        self.held.clear()

    def cut(self) -> None:
        """See ``Cable``."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or whoever accepts there goes on waiting
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()


class Ssh:
    """The ssh clients that this process starts from now on."""

    holds_new = False

    def __init__(self, target: str) -> None:
        self.address = target
        self._before = _ssh_clients()

    def _signal(self, number: int) -> None:
        for pid in _ssh_clients() - self._before:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def hold(self) -> None:
        """See ``Cable``."""
        self._signal(signal.SIGSTOP)

    def let_go(self) -> None:
        """See ``Cable``."""
        self._signal(signal.SIGCONT)

    def cut(self) -> None:
        """See ``Cable``."""
        self._signal(signal.SIGKILL)


def _ssh_clients() -> set[int]:
    """Return the processes named ssh that are children of this one."""
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and (entry / "comm").read_text() == "ssh\n":
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                found |= {int(entry.name)} if int(parent) == os.getpid() else set()
    return found


def to_the_engine(folder: Path) -> Cable:
    """Return a cable to the engine that the tests run on; what it needs is made in ``folder``."""
    target = os.environ.get("DOCKER_HOST") or USUAL
    return Ssh(target) if target.startswith("ssh://") else Relay(target, folder)
