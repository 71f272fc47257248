"""The way out: an HTTP proxy on the container's loopback whose connections are streams of frames to the host.

Nothing is decided here, since the code that runs beside it can take this process over. The host hears a name and a port
with each connection, judges them, and dials. Loaded only where the policy lets anything out.
"""

from __future__ import annotations

import os
from _socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket

from .frames import MOST_STREAMS, TRUSTED
from .kernel import now
from .poller import NOTHING, READ
from .tunnel import Tunnel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .frames import Frame
    from .link import HostLink
    from .poller import Poller

STORE = "/etc/ssl/certs/ca-certificates.crt"
BACKLOG = 256


class Egress:
    """The proxy and its connections."""

    def __init__(self, poller: Poller, link: HostLink, port: int, certificates: bytes) -> None:
        """Listen on ``port``; where there are ``certificates``, have a bundle that holds them beside the image's."""
        self.poller, self.link = poller, link
        self._tunnels: dict[int, Tunnel] = {}
        self._last = 0
        self._held_up = False
        self._listener = socket(AF_INET, SOCK_STREAM)
        self._listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen(BACKLOG)
        self._listener.setblocking(False)
        poller.listen(self._listener.fileno(), self._accept)
        if certificates:
            _trust(certificates)

    @property
    def due(self) -> float:
        """Return when the next connection has been silent for too long; 0 for never."""
        return min((tunnel.due for tunnel in self._tunnels.values() if tunnel.due), default=0.0)

    def tick(self) -> None:
        """Look at the clock, and go on with what the full pipe to the host held up."""
        moment = now()
        late = [tunnel for tunnel in self._tunnels.values() if tunnel.due and tunnel.due <= moment]
        for tunnel in late:
            tunnel.expire()
        if self._held_up and not self.link.congested:
            self._held_up = False
            for tunnel in list(self._tunnels.values()):
                tunnel.watch()

    def is_congested(self) -> bool:
        """Tell whether the pipe to the host is full; whoever asked is told to look again when it is not."""
        self._held_up = self._held_up or self.link.congested
        return self.link.congested

    def handle(self, frame: Frame) -> None:
        """Pass on what the host says of a connection; one that has ended here meanwhile needs no more."""
        if tunnel := self._tunnels.get(frame.header["id"]):
            getattr(tunnel, "on_" + frame.type)(frame)

    def drop_all(self) -> None:
        """Break every connection."""
        for tunnel in list(self._tunnels.values()):
            tunnel.drop()

    def forget(self, identifier: int) -> None:
        """Make room for another connection."""
        self._tunnels.pop(identifier, None)
        self.poller.listen(self._listener.fileno(), self._accept, READ)

    def _accept(self) -> None:
        if len(self._tunnels) >= MOST_STREAMS:
            self.poller.change(self._listener.fileno(), NOTHING)  # the others wait in the kernel's queue
            return
        try:
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]  # what socket.accept itself calls
        except OSError:
            return  # whoever knocked has gone, or no descriptor is left
        self._last += 1
        self._tunnels[self._last] = Tunnel(self, self._last, socket(fileno=descriptor))


def _trust(certificates: bytes) -> None:
    """Write a bundle of the image's certificates and these; programs find it by their environment."""
    try:
        with open(STORE, "rb") as file:
            certificates = file.read().rstrip() + b"\n" + certificates
    except OSError:
        pass  # an image without certificates of its own
    descriptor = os.open(TRUSTED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(certificates)
