"""One connection through the proxy: its request's head, the host's verdict, and bytes both ways against credit."""

from __future__ import annotations

from _socket import SHUT_WR, SO_LINGER, SOL_SOCKET
from collections import deque

from .frames import DOWNLOAD_WINDOW, FRAME_COST, HOST_PAYLOAD, UPLOAD_WINDOW, cost
from .heads import MOST_HEAD, HeadError, read
from .kernel import now
from .poller import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from .egress import Egress
    from .frames import Frame

HEAD_SECONDS = 20.0  # for a whole request head: who opens connections and says nothing keeps others from their place
PARTING_SECONDS = 2.0  # for a refused client to read why
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
NO_LINGER = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 s; closing then resets, so that nobody takes it for an end


class Tunnel:
    """A client's socket and the stream that it became.

    ``due`` is when it is given up for its silence, 0 for never: once it is open, silence is its own business.
    """

    def __init__(self, egress: Egress, identifier: int, client: socket) -> None:
        self.id = identifier
        self.due = now() + HEAD_SECONDS
        self._egress = egress
        self._client = client
        self._head = b""
        self._state = "head"  # then asked, open, parting
        self._first = b""  # what goes to the server before all else
        self._answer = b""  # what a client is told when its connection is there
        self._credit = UPLOAD_WINDOW
        self._waiting: deque[memoryview] = deque()
        self._costs: deque[int] = deque()
        self._unreported = 0
        self._read_all = self._written_all = self._shut = False
        self._events = 0
        client.setblocking(False)
        self.watch()

    # --- what the host says ---

    def on_egress_accept(self, _: Frame) -> None:
        """Begin to relay."""
        self._state, self.due = "open", 0.0
        if self._answer:
            self._push(self._answer, 0)
        for start in range(0, len(self._first), HOST_PAYLOAD):
            self._send_data(self._first[start : start + HOST_PAYLOAD])
        self._first = b""
        self.watch()

    def on_egress_refuse(self, frame: Frame) -> None:
        """Tell the client why not."""
        self._refuse(frame.header["status"], frame.header["reason"], frame.payload)

    def on_egress_data(self, frame: Frame) -> None:
        """Write what the server said."""
        self._push(frame.payload, cost(frame.payload))
        self.watch()

    def on_egress_credit(self, frame: Frame) -> None:
        """Send more."""
        self._credit += frame.header["bytes"]
        self.watch()

    def on_egress_end(self, frame: Frame) -> None:
        """Pass on the end of what the server says, once all before it is written; a broken one at once."""
        if frame.header["broken"]:
            self._close(reset=True)
            return
        self._written_all = True
        self._write()
        self.watch()

    # --- the client ---

    def watch(self) -> None:
        """Wait for what can be done next; for nothing, not even a hang-up, where that is nothing."""
        if self._client.fileno() < 0:
            return
        events = (WRITE if self._waiting else 0) | (READ if self._may_read() else 0)
        if events == self._events:
            return
        self._events = events
        if events:
            self._egress.poller.listen(self._client.fileno(), self._ready, events)
        else:
            self._egress.poller.forget(self._client.fileno())

    def _may_read(self) -> bool:
        if self._state == "open":
            return not self._read_all and self._credit > FRAME_COST and not self._egress.is_congested()
        return self._state != "asked" and not self._read_all

    def expire(self) -> None:
        """Give up a client that was silent for too long."""
        if self._state == "head":
            self._refuse(408, "Request Timeout", b"The request did not come.\n")
        else:
            self._close()

    def drop(self) -> None:
        """Break the connection, whose other end is no more."""
        self._close(reset=True)

    def _ready(self) -> None:
        self._write()
        if self._client.fileno() >= 0 and self._may_read():
            self._read()
        self.watch()

    def _read(self) -> None:
        try:
            data = self._client.recv(min(HOST_PAYLOAD, self._credit - FRAME_COST) if self._state == "open"
                                     else HOST_PAYLOAD)
        except BlockingIOError:
            return
        except OSError:
            self._break()
            return
        if self._state == "head":
            self._take_head(data)
        elif self._state == "open" and data:
            self._send_data(data)
        elif not data:
            self._read_all = True
            if self._state == "open":
                self._egress.link.send("egress_end", id=self.id, broken=False)
            self._close_if_done()

    def _take_head(self, data: bytes) -> None:
        if not data:
            self._close()
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            if len(self._head) > MOST_HEAD:
                self._refuse(431, "Request Header Fields Too Large", b"The request's head is too long.\n")
            return
        if self._egress.link.lost:
            self._refuse(503, "Nobody is connected to this sandbox", b"No host to connect through.\n")
            return
        try:
            request = read(self._head)
        except HeadError as error:
            self._refuse(400, "Bad Request", f"{error}\n".encode())
            return
        self._head, self._first, self._state, self.due = b"", request.first, "asked", 0.0
        self._answer = ESTABLISHED if request.is_tunnel else b""
        self._egress.link.send("egress_connect", id=self.id, host=request.host, port=request.port)

    def _send_data(self, data: bytes) -> None:
        self._credit -= cost(data)
        self._egress.link.send("egress_data", data, id=self.id)

    def _refuse(self, status: int, reason: str, body: bytes) -> None:
        self._state, self.due = "parting", now() + PARTING_SECONDS
        self._push(f"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body, 0)
        self._written_all = True
        self._write()
        self.watch()

    def _push(self, data: bytes, taken: int) -> None:
        self._waiting.append(memoryview(data))
        self._costs.append(taken)
        if len(self._waiting) == 1:
            self._write()

    def _write(self) -> None:
        """Write what the client takes; grant the host as much again, small sums saved up."""
        try:
            while self._waiting:
                sent = self._client.send(self._waiting[0])
                if sent < len(self._waiting[0]):
                    self._waiting[0] = self._waiting[0][sent:]
                    continue
                self._waiting.popleft()
                self._unreported += self._costs.popleft()
            if self._written_all and not self._shut:
                self._shut = True
                self._client.shutdown(SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self._break()
        if self._unreported > DOWNLOAD_WINDOW // 4 and self._state == "open":
            self._egress.link.send("egress_credit", id=self.id, bytes=self._unreported)
            self._unreported = 0
        self._close_if_done()

    # --- the end ---

    def _close_if_done(self) -> None:
        if self._read_all and self._shut:
            self._close()

    def _break(self) -> None:
        """End a connection whose client is gone."""
        if self._state in ("asked", "open"):
            self._egress.link.send("egress_end", id=self.id, broken=True)
        self._close()

    def _close(self, *, reset: bool = False) -> None:
        if self._client.fileno() < 0:
            return
        self._state = "closed"
        self._egress.poller.forget(self._client.fileno())
        if reset:
            self._client.setsockopt(SOL_SOCKET, SO_LINGER, NO_LINGER)
        self._client.close()
        self._waiting.clear()
        self._costs.clear()
        self._egress.forget(self.id)
