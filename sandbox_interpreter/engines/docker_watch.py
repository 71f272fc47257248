"""An SDK's client that notices when an engine hangs in the middle of what may take long, such as a build or a pull.

The SDK waits without an end there, since a step of a build may be silent for any time. So while an answer streams in
the engine is asked on the side, now and then, whether it still answers at all.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import docker
import requests

_TIMES = 10
"""How often the usual bound fits into that of an answer that begins late: a registry is asked, an archive unpacked."""


class WatchingClient(docker.APIClient):
    """A client whose every call has an end. Streams raise ``requests.ReadTimeout`` when the engine hangs."""

    def _set_request_timeout(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Bound also the beginning of what the SDK bounds nowhere."""
        if kwargs.setdefault("timeout", self.timeout) is None:
            kwargs["timeout"] = _TIMES * self.timeout
        return kwargs

    def _stream_helper(self, response: requests.Response, decode: bool = False) -> Iterator[Any]:
        """Yield the pieces of an answer, or its JSON values."""
        if decode:  # which asks this again, for the pieces
            yield from super()._stream_helper(response, decode)  # type: ignore[misc]  # not in the stubs
            return
        with self._watched(response):
            yield from super()._stream_helper(response, decode)  # type: ignore[misc]  # the same

    @contextmanager
    def _watched(self, response: requests.Response) -> Iterator[None]:
        """Raise ``requests.ReadTimeout`` when the engine hangs before this is left."""
        found = self._get_raw_response_socket(response)  # type: ignore[attr-defined]  # the same
        stream = getattr(found, "_sock", found)  # over TLS it is the socket itself
        left, hangs = threading.Event(), threading.Event()

        def watch() -> None:
            while not left.wait(self.timeout):
                if not self._answers():
                    hangs.set()
                    with suppress(OSError):
                        socket.socket.shutdown(stream, socket.SHUT_RDWR)  # whoever reads it wakes up, over TLS, too
                    return

        stream.settimeout(None)
        watcher = threading.Thread(target=watch, name="watch-engine", daemon=True)
        watcher.start()
        try:
            yield
        except Exception:
            if not hangs.is_set():
                raise
        finally:
            left.set()
        if hangs.is_set():
            raise requests.exceptions.ReadTimeout("the engine hangs")

    def _answers(self) -> bool:
        try:
            self.get(f"{self.base_url}/_ping", timeout=self.timeout)
        except requests.exceptions.RequestException:
            return False
        return True
