"""Servers on loopback that list models, or do not: what `sbi --local` may meet on the usual ports."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Listing = Callable[[BaseHTTPRequestHandler], None]
"""Answers one request."""


def listing(data: Any) -> Listing:
    """Return what answers with ``data`` as JSON."""
    return page(json.dumps(data).encode())


def page(body: bytes, *, status: int = 200) -> Listing:
    """Return what answers with these bytes."""
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def silence(until: threading.Event) -> Listing:
    """Return what says nothing until ``until`` is set."""
    def answer(handler: BaseHTTPRequestHandler) -> None:
        until.wait(10)
        handler.close_connection = True

    return answer


@contextmanager
def serving() -> Iterator[Callable[[Listing], int]]:
    """Give a function that starts a server and returns its port; all end with the context."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Listing) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def do_POST(self) -> None:
                answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
                """Say nothing on the test's terminal."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return int(server.server_address[1])

    try:
        yield start
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
