"""Ports of this machine, for systems that talk to their containers over one."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request

_SECONDS = 60.0
_PAUSE = 0.02


def free() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for_http(port: int) -> None:
    """Return once a server answers at the port, whatever it says. Raises TimeoutError."""
    deadline = time.monotonic() + _SECONDS
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < deadline:
        try:
            opener.open(f"http://127.0.0.1:{port}/api", timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(_PAUSE)
        else:
            return
    raise TimeoutError(f"Nothing answered at port {port} for {_SECONDS:.0f} s.")
