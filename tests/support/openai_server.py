"""A real HTTP server on loopback that speaks the OpenAI streaming protocol, scripted reply by reply.

    with OpenAIServer(call("python", "print(1)"), say("It printed 1.")) as server:
        model = LiteLLMModel("openai/any", api_base=server.url, api_key="k")

Each request takes the next reply; ``server.requests`` holds the bodies that came, in order.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """One answer of the server: what it sends, in which TCP writes, and whether it then breaks the connection."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cuts: tuple[int, ...] = ()
    """Byte positions of the body at which one write ends and the next begins."""
    drop_after: int | None = None
    """Reset the connection after that many bytes of the body; None sends all."""
    hold: threading.Event | None = None
    """Wait for this event before the byte at ``hold_at`` is sent."""
    hold_at: int = 0

    def split(self, *cuts: int) -> Reply:
        """Return the same answer, its bytes cut at these positions."""
        return replace(self, cuts=cuts)

    def bytewise(self) -> Reply:
        """Return the same answer, one byte a write."""
        return replace(self, cuts=tuple(range(1, len(self.body))))

    def dropped(self, after: int | None = None, *, before: bytes | None = None) -> Reply:
        """Return the same answer, its connection reset after so many bytes, or right before the bytes ``before``."""
        return replace(self, drop_after=after if before is None else self.body.index(before))

    def held(self, event: threading.Event, at: bytes) -> Reply:
        """Return the same answer, paused before the bytes ``at`` until ``event`` is set."""
        return replace(self, hold=event, hold_at=self.body.index(at))

    def writes(self) -> Iterator[tuple[int, bytes]]:
        """Yield where in the body each write to the socket begins, and what it carries."""
        end = len(self.body) if self.drop_after is None else self.drop_after
        marks = {0, end, *(cut for cut in self.cuts if cut < end)}
        if self.hold and self.hold_at < end:
            marks.add(self.hold_at)
        edges = sorted(marks)
        for left, right in pairwise(edges):
            yield left, self.body[left:right]


def deltas(*pieces: Mapping[str, Any], finish: str | None = "stop", usage: bool = True) -> Reply:
    """Return a streamed answer made of these ``delta`` objects."""
    frames = [_frame(delta=piece) for piece in ({"role": "assistant", "content": ""}, *pieces)]
    if finish is not None:
        frames.append(_frame(delta={}, finish=finish))
    if usage:
        tokens = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
        frames.append(_event({**_ENVELOPE, "choices": [], "usage": tokens}))
    frames.append(b"data: [DONE]\n\n")
    return Reply(b"".join(frames), headers={"Content-Type": "text/event-stream"})


def say(*pieces: str, finish: str = "stop") -> Reply:
    """Return a streamed answer of text, one delta a piece."""
    return deltas(*({"content": piece} for piece in pieces), finish=finish)


def call(language: str, code: str, *, text: str = "", size: int = 7) -> Reply:
    """Return a streamed call of ``execute``, its JSON arguments cut into pieces of ``size`` characters."""
    arguments = json.dumps({"language": language, "code": code}, ensure_ascii=False)
    return raw_call("execute", *_cut(arguments, size), text=text)


def raw_call(name: str, *arguments: str, text: str = "", finish: str = "tool_calls") -> Reply:
    """Return a streamed tool call whose arguments are these strings, whatever they hold."""
    pieces: list[dict[str, Any]] = [{"content": text}] if text else []
    return deltas(*pieces, *call_deltas(0, name, *arguments), finish=finish)


def call_deltas(index: int, name: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the deltas of one tool call, its name in the first."""
    head = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": index, "function": {"arguments": piece}} for piece in arguments]
    return [{"tool_calls": [part]} for part in [head, *rest]]


def failure(status: int, message: str = "scripted failure", *, code: str | None = None,
            headers: Mapping[str, str] | None = None) -> Reply:
    """Return an error answer in the protocol's JSON form."""
    body = json.dumps({"error": {"message": message, "type": "scripted", "code": code}}).encode()
    return Reply(body, status, {"Content-Type": "application/json", **(headers or {})})


class OpenAIServer:
    """The server, running while the ``with`` block lasts. ``url`` is what ``api_base`` takes.

    ``port`` 0 is any that is free; another is waited for. ``models`` are those that it lists.
    """

    def __init__(self, *replies: Reply, port: int = 0, models: Sequence[str] = ()) -> None:
        self.models = models
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        """The headers of each request, their names in lower case: clients differ in how they write them."""
        self.hung_up = threading.Event()
        """Set when a client closed its connection while a reply was held."""
        self._replies: Sequence[Reply] = replies
        self._lock = threading.Lock()
        self._server = _server_on(port)
        self._server.script = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Return the address with the API's version path."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next_reply(self, body: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        """Record a request and return the reply that the script has for it."""
        with self._lock:
            self.requests.append(body)
            self.headers.append(headers)
            if len(self.requests) > len(self._replies):
                return failure(400, "the test's script has no more replies")
            return self._replies[len(self.requests) - 1]


def _server_on(port: int) -> _Server:
    for _ in range(300):
        try:
            return _Server(("127.0.0.1", port), _Handler)
        except OSError:  # another run of the tests has it
            time.sleep(0.1)
    raise AssertionError(f"port {port} does not become free")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: OpenAIServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that hangs up is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    disable_nagle_algorithm = True
    server: _Server
    server_version = "scripted"

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": name} for name in self.server.script.models]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length))
        reply = self.server.script.next_reply(body, {name.lower(): value for name, value in self.headers.items()})
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(ConnectionError):
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        for at, piece in reply.writes():
            if reply.hold and at == reply.hold_at and not self._held(reply.hold):
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if reply.drop_after is not None:
            self._reset()
            return
        self.wfile.write(b"0\r\n\r\n")

    def _held(self, event: threading.Event) -> bool:
        """Return true when the event is set, false when the client is gone."""
        while not event.wait(0.02):
            with suppress(BlockingIOError):
                if not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                    self.server.script.hung_up.set()
                    self.close_connection = True
                    return False
        return True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
        """Say nothing on the test's terminal."""


_ENVELOPE = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}


def _frame(*, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
    return _event({**_ENVELOPE, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def _cut(text: str, size: int) -> list[str]:
    return [text[at:at + size] for at in range(0, len(text), size)]
