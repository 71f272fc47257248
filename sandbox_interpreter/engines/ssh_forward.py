"""The socket of an engine on another machine, brought here by the OpenSSH client.

It knows the user's keys, agent, jump hosts and ``~/.ssh/config``; one connection carries every stream, and nothing but
a socket has to be there at the other end: no Docker command, as the SDK's own way needs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
import weakref
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sandbox_interpreter.errors import EngineUnreachable

USUAL_SOCKET = "/var/run/docker.sock"
_LEAVING_SECONDS = 3.0
SECONDS = 20.0
"""How long the connection may take to stand; names that lead nowhere are given up sooner."""


class SshForward:
    """A connection to ``ssh://[USER@]HOST[:PORT][/SOCKET]``; ``address`` is where its engine is from here.

    It ends with ``close``, with this object, and with this process, also if that is killed. Raises EngineUnreachable.
    """

    def __init__(self, address: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sbi-ssh-"))
        socket = self._folder / "engine.sock"
        self.address = f"unix://{socket}"
        try:
            self._process = subprocess.Popen(command(address, socket), stdin=subprocess.PIPE,  # noqa: S603  # no shell
                                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise _failed(address, f"{error.strerror} (ssh)") from None
        self._closer = weakref.finalize(self, _end, self._process, self._folder)
        self._wait(address, socket)

    def _wait(self, address: str, socket: Path) -> None:
        give_up = time.monotonic() + SECONDS
        while not socket.exists():
            if self._process.poll() is not None or time.monotonic() > give_up:
                reason = self._said() if self._process.poll() is not None else f"no answer within {SECONDS:.0f} s"
                self.close()
                raise _failed(address, reason)
            time.sleep(0.02)

    def _said(self) -> str:
        assert self._process.stderr is not None
        # What is there, and not until its end: a program that ssh started (ProxyCommand) may live on, and hold it open.
        os.set_blocking(self._process.stderr.fileno(), False)
        lines = (self._process.stderr.read() or b"").decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "ssh ended")

    def close(self) -> None:
        """End the connection; harmless when repeated."""
        self._closer()


def command(address: str, socket: Path) -> list[str]:
    """Return the ssh command that forwards the engine at ``address`` to ``socket``. Raises EngineUnreachable."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    user = unquote(parts.username or "")
    if not host or host.startswith("-") or user.startswith("-"):
        raise _failed(address, "it names no host")
    there = unquote(parts.path) if parts.path not in ("", "/") else USUAL_SOCKET
    return ["ssh", "-T", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ControlPath=none",
            # A laptop that slept, a cable that was cut: 45 s, and every stream ends instead of hanging.
            "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3", "-o", f"ConnectTimeout={SECONDS:.0f}",
            *(["-p", str(port)] if port else []), "-L", f"{socket}:{there}",
            f"{user}@{host}" if user else host,
            "cat"]  # reads our pipe, so that it ends when this process does, however that comes


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    process.terminate()
    for pipe in (process.stdin, process.stderr):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()
    try:
        process.wait(_LEAVING_SECONDS)
    except subprocess.TimeoutExpired:  # it was stopped, or a wrapper of the user's heeds nothing
        process.kill()
        process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _failed(address: str, reason: str) -> EngineUnreachable:
    return EngineUnreachable(f"No ssh connection to {address}: {reason.rstrip('.')}.",
                             next_step=f"Try it by hand, with a key that asks for nothing: ssh {_target(address)} true")


def _target(address: str) -> str:
    parts = address.removeprefix("ssh://").partition("/")[0]
    host, _, port = parts.partition(":")
    return f"-p {port} {host}" if port else host
