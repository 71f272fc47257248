"""Small servers on this machine's loopback, for code in a sandbox to reach or not to reach."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PIECE = b"x" * 65_536


class Web(ThreadingHTTPServer):
    """Serves /size/N (N bytes), /to/URL (a redirect there), /files/PATH below ``folder``; echoes what is posted."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[str] = []
        """Host and path of every request."""
        self.folder = Path("/nowhere")
        self.scheme = "http"

    @property
    def url(self) -> str:
        """Return its address."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_GET(self) -> None:
        """Answer a download or a redirect."""
        self.server.seen.append(f"{self.headers['Host']}{self.path}")
        kind, _, rest = self.path.removeprefix("/").partition("/")
        if kind == "to":
            self.send_response(302)
            self.send_header("Location", rest)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "files":
            self._send_file(self.server.folder / rest.partition("?")[0])
            return
        self._answer(int(rest or 2))

    def _send_file(self, path: Path) -> None:
        path = path / "index.html" if path.is_dir() else path
        if path.is_file():
            body = path.read_bytes()
            self._answer(len(body), body, "text/html" if path.suffix == ".html" else "application/octet-stream")
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        """Answer with what was sent."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(len(body), body)

    def _answer(self, size: int, body: bytes = b"", kind: str = "application/octet-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        self.wfile.write(body)
        for start in range(0, size - len(body), len(PIECE)):
            self.wfile.write(PIECE[: size - len(body) - start])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def web(identity: Path | None = None) -> Iterator[Web]:
    """Yield a server that serves until the end of the context; over TLS where a key and certificate are given."""
    server = Web()
    if identity:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
