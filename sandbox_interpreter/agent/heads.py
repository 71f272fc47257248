"""The head of a request to a proxy (RFC 9112): where it wants to go, and what the server is to be sent first."""

from __future__ import annotations

MOST_HEAD = 64 * 1024
HOP_BY_HOP = (b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate",
              b"upgrade", b"host")


class HeadError(Exception):
    """The bytes are no request that a proxy serves."""


class Request:
    """Where a request goes, what the server is sent first, and whether its client speaks to the server itself."""

    __slots__ = ("first", "host", "is_tunnel", "port")

    def __init__(self, host: str, port: int, first: bytes, *, is_tunnel: bool) -> None:
        self.host, self.port, self.first, self.is_tunnel = host, port, first, is_tunnel


def read(data: bytes) -> Request:
    """Return the request whose head ``data`` begins with; bytes behind the head belong to the server.

    Raises HeadError.
    """
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise HeadError("That is no HTTP/1 request.")
    method, target, _version = words
    if method == b"CONNECT":
        host, port = _authority(target, None)
        return Request(host, port, rest, is_tunnel=True)
    if target[:7].lower() != b"http://":
        raise HeadError("This is a proxy: it takes CONNECT, and requests for http://HOST/PATH.")
    authority, path = _split(target[7:])
    host, port = _authority(authority, 80)
    kept = [field for field in fields if field.partition(b":")[0].strip().lower() not in HOP_BY_HOP]
    # One request a connection: the next may be for another host, and each host is asked for anew.
    lines = [b" ".join((method, path, b"HTTP/1.1")), b"Host: " + authority, *kept, b"Connection: close"]
    return Request(host, port, b"\r\n".join(lines) + b"\r\n\r\n" + rest, is_tunnel=False)


def _split(rest: bytes) -> tuple[bytes, bytes]:
    """Return the authority and the path, with its query, of what stands behind ``http://``."""
    end = min((at for at in (rest.find(mark) for mark in b"/?#") if at >= 0), default=len(rest))
    authority, path = rest[:end], rest[end:].partition(b"#")[0]
    return authority.rpartition(b"@")[2], path if path.startswith(b"/") else b"/" + path


def _authority(text: bytes, usual: int | None) -> tuple[str, int]:
    """Return host and port. What the host is worth is judged where it is dialled, not here. Raises HeadError."""
    host, colon, port = text.rpartition(b":")
    if not colon or text.endswith(b"]"):
        host, port = text, b""
    if not host or (port and (not port.isdigit() or len(port) > 5)) or not (port or usual):
        raise HeadError("The request names no host and port.")
    return host.decode("utf-8", "replace"), int(port or usual or 0)
