"""One connection that the host relays: its socket, what waits for the server, and the credit of both directions."""

from __future__ import annotations

import selectors
import socket
import threading
from collections import deque

from sandbox_interpreter.agent.frames import DOWNLOAD_WINDOW, FRAME_COST, UPLOAD_WINDOW, Frame, FrameError, cost

_GRANTED_AT = UPLOAD_WINDOW // 4


class Relayed:
    """A connection from its first frame to its last. The reactor's thread takes frames, the relay's does the rest."""

    def __init__(self, identifier: int, host: str, port: int) -> None:
        self.id = identifier
        self.host = host
        self.port = port
        self.connection: socket.socket | None = None
        self.is_new = True
        """Whether the agent has not heard yet that it is there."""
        self.watched = 0
        self.is_broken = self.is_cut = False
        """Whether the server has broken it off; whether the agent has."""
        self.server_ended = self.told_end = False
        self._client_ended = self._shut = False
        self._lock = threading.Lock()
        self._waiting: deque[memoryview] = deque()  # for the server
        self._costs: deque[int] = deque()
        self._room = UPLOAD_WINDOW  # of the agent's, for what it sends
        self._unreported = 0
        self._credit = DOWNLOAD_WINDOW  # ours, for what the server sends

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more can come of it."""
        return self.is_broken or self.is_cut or (self.server_ended and self._shut and self.told_end)

    @property
    def events(self) -> int:
        """Return what its socket is to be waited for."""
        reading = not self.server_ended and self._credit > FRAME_COST
        return (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if self._waiting else 0)

    def open(self, connection: socket.socket) -> None:
        """Use ``connection`` from now on."""
        connection.setblocking(False)
        self.connection = connection

    def take(self, frame: Frame) -> None:
        """Take a frame of the agent's. Raises FrameError for what it may not send."""
        match frame.type:
            case "egress_data":
                self._take_data(frame.payload)
            case "egress_credit":
                if frame.header["bytes"] < 0:
                    raise FrameError("a credit below nothing")
                with self._lock:
                    self._credit += frame.header["bytes"]
            case _:
                self._client_ended = True
                self.is_cut = self.is_cut or frame.header["broken"]

    def _take_data(self, data: bytes) -> None:
        if self._client_ended:
            raise FrameError("more of a connection that had ended")
        with self._lock:
            self._room -= cost(data)
            if self._room < 0 or self.connection is None:
                raise FrameError("more of a connection than was granted")
            self._costs.append(cost(data))  # first: the relay takes one for each piece that waits
            self._waiting.append(memoryview(data))

    def write(self) -> None:
        """Write what the server takes. Raises OSError when it is gone."""
        if self.connection is None:
            return
        is_last = self._client_ended  # asked before: what comes with the end, comes before it
        while self._waiting:
            try:
                sent = self.connection.send(self._waiting[0])
            except BlockingIOError:
                return
            if sent < len(self._waiting[0]):
                self._waiting[0] = self._waiting[0][sent:]
                return
            self._waiting.popleft()
            self._unreported += self._costs.popleft()
        if is_last and not self._shut:
            self._shut = True
            self.connection.shutdown(socket.SHUT_WR)

    def take_grant(self) -> int:
        """Return how much more the agent may send; 0 while that is too little to tell."""
        if self._unreported < _GRANTED_AT or self._client_ended:
            return 0
        granted, self._unreported = self._unreported, 0
        with self._lock:
            self._room += granted
        return granted

    def read(self, most: int) -> bytes:
        """Return what the server has said, as far as the agent's credit goes; b"" for nothing yet. Raises OSError."""
        with self._lock:
            size = min(most, self._credit - FRAME_COST)
        if size <= 0 or self.server_ended or self.connection is None:
            return b""
        try:
            data = self.connection.recv(size)
        except BlockingIOError:
            return b""
        self.server_ended = not data
        with self._lock:
            self._credit -= cost(data) if data else 0
        return data

    def close(self) -> None:
        """Let go of the socket."""
        if self.connection is not None:
            self.connection.close()
            self.connection, self.watched = None, 0
