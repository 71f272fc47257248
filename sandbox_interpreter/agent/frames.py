"""The frames that host and agent exchange; this one file runs on both ends.

A frame is ``MAGIC, header length, payload length`` (12 bytes, big-endian), a JSON header with a ``type``, raw payload
bytes, and a trailer. Type names are Jupyter's wherever Jupyter has one. The trailer makes resynchronising safe: a
client that died in the middle of a frame leaves a cut one behind, which the zeros that the next client sends first
complete to a frame without a trailer; it is dropped, and everything up to the next MAGIC is skipped.
"""

from __future__ import annotations

import struct

from . import fastjson

TYPE_CHECKING = False  # typing costs 4 ms to import, a thirtieth of a cold start
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PROTOCOL = 2
MAGIC = b"sbi\x01"
TRAILER = b"\xffend"
PREFIX = struct.Struct("!4sII")

SYNC_MARK = b"\x00sbi-sync"  # the agent's answer to a sync: this, the nonce, and frames from there on

MAX_HEADER = 64 * 1024
MAX_PAYLOAD = 1024 * 1024
# What the host sends is cut smaller, so that the padding of a resync is small.
HOST_PAYLOAD = 64 * 1024
RESYNC_PADDING = bytes(PREFIX.size + MAX_HEADER + HOST_PAYLOAD + len(TRAILER))

# Bytes of credit that a frame takes beside its payload: about what it takes of memory while it waits to be read.
FRAME_COST = 256
# Bytes of a list of files, its names joined by NUL: with the rest of what may wait for a reader, no credit is needed.
MOST_LISTING = 4 * 1024 * 1024
# The largest number that every reader of JSON takes for what it is (RFC 8259, section 6).
MOST_NUMBER = 2**53

# A connection to the outside: bytes that may wait in the container for its reader, and on the host, whose memory is not
# the sandbox's, for its server; and how many connections there may be at once.
DOWNLOAD_WINDOW = 1024 * 1024
UPLOAD_WINDOW = 256 * 1024
MOST_STREAMS = 128
# The bundle of certificates that the code is to trust: a container's own /tmp, so whoever changes it harms himself.
TRUSTED = "/tmp/sandbox-ca.pem"

# Every frame type with the header fields that must be there, and their JSON types.
HOST_FRAMES: dict[str, dict[str, tuple[type, ...]]] = {
    "hello": {"idle": (int, float), "grace": (int, float), "heartbeat": (int, float)},  # payload: environment
    "sync": {"nonce": (str,), "credit": (int,)},
    "ping": {},
    # What the agent needs to know of a language that is not its own; payload: the kernel file.
    "language": {"name": (str,), "suffix": (str,), "kernel": (list,), "program": (list,), "build": (list,),
                 "main": (list,), "includes": (str,), "guarded": (bool,)},
    "execute_request": {"id": (int,), "language": (str,), "mode": (str,), "name": (str,), "argv": (list,),
                        "timeout": (int, float), "stdin": (str,), "active_line": (bool,), "credit": (int,)},
    "interrupt_request": {"id": (int,), "hard": (bool,)},
    "input_reply": {"id": (int,)},
    "stdin": {"id": (int,), "eof": (bool,)},
    "credit": {"id": (int,), "bytes": (int,)},
    "reset_request": {},
    # mode: permissions, of a file that takes the place of another; mtime: microseconds since 1970.
    "file_put": {"id": (int,), "path": (str,), "mode": (int, type(None)), "mtime": (int, type(None))},
    "folder_put": {"id": (int,), "path": (str,)},
    "link_put": {"id": (int,), "path": (str,)},  # payload: where it leads
    "tree_list": {"id": (int,)},  # answered as a file is: records of tree.py
    "file_list": {"id": (int,), "pattern": (str,)},
    "file_get": {"id": (int,), "path": (str,)},
    "shutdown_request": {},
    "egress_start": {"port": (int,)},  # payload: certificates that the code is to trust, or nothing
    "egress_accept": {"id": (int,)},
    "egress_refuse": {"id": (int,), "status": (int,), "reason": (str,)},  # payload: the answer's body
    "egress_data": {"id": (int,)},
    "egress_credit": {"id": (int,), "bytes": (int,)},
    "egress_end": {"id": (int,), "broken": (bool,)},
}
AGENT_FRAMES: dict[str, dict[str, tuple[type, ...]]] = {
    # place: what tells the folder at /workspace from others, its ctime in nanoseconds; a text, since it is so large.
    # confined: whether the filter of confine.py holds.
    "ready": {"protocol": (int,), "python": (str,), "languages": (list,), "place": (str, type(None)),
              "confined": (bool, type(None))},
    "sync_reply": {"requests": (list,), "last": (int,)},
    "pong": {},
    "stream": {"id": (int,), "name": (str,)},
    "display_data": {"id": (int,), "parts": (dict,), "result": (bool,)},
    "error": {"id": (int,), "ename": (str,), "evalue": (str,)},
    "input_request": {"id": (int,), "prompt": (str,), "password": (bool,)},
    "active_line": {"id": (int,), "line": (int, type(None))},
    "credit": {"id": (int,), "bytes": (int,)},
    "status": {"id": (int,), "exit_code": (int,), "limit": (str, type(None)), "duration_ms": (int, float),
               "interrupted": (bool,)},
    "file_names": {"id": (int,)},
    "file_data": {"id": (int,)},
    "file_done": {"id": (int,), "error": (str, type(None))},
    "egress_connect": {"id": (int,), "host": (str,), "port": (int,)},
    "egress_data": {"id": (int,)},
    "egress_credit": {"id": (int,), "bytes": (int,)},
    "egress_end": {"id": (int,), "broken": (bool,)},
}


class FrameError(Exception):
    """The bytes are not a frame of this protocol."""


class Frame:
    """One frame: its type, its other header fields, its raw payload, and the bytes that its header came in."""

    __slots__ = ("header", "header_size", "payload", "type")

    def __init__(self, kind: str, header: dict[str, Any], payload: bytes = b"", header_size: int = 0) -> None:
        self.type = kind
        self.header = header
        self.payload = payload
        self.header_size = header_size


def cost(payload: bytes | bytearray) -> int:
    """Return the bytes of credit that a frame with ``payload`` takes; both ends count alike."""
    return FRAME_COST + len(payload)


def encode(kind: str, payload: bytes = b"", **header: Any) -> bytes:
    """Return the bytes of one frame; the payload must fit the receiver's limit."""
    head = fastjson.dumps({"type": kind, **header}).encode()
    if len(head) > MAX_HEADER or len(payload) > MAX_PAYLOAD:
        raise FrameError(f"a {kind} frame of {len(head)} + {len(payload)} bytes is too large")
    return b"".join((PREFIX.pack(MAGIC, len(head), len(payload)), head, payload, TRAILER))


def fragments(kind: str, payload: bytes, size: int = HOST_PAYLOAD, **header: Any) -> Iterator[bytes]:
    """Yield the frames of a payload of any length; all but the last carry ``more``."""
    for start in range(0, max(len(payload), 1), size):
        more = {"more": True} if start + size < len(payload) else {}
        yield encode(kind, payload[start : start + size], **(header | more))


def parse_header(data: bytes, table: dict[str, dict[str, tuple[type, ...]]]) -> dict[str, Any]:
    """Return the header in ``data``, checked against ``table``; fields that are not in it are dropped.

    Raises FrameError; never anything else.
    """
    try:
        header = fastjson.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise FrameError(f"header is not JSON: {error}") from None
    if not isinstance(header, dict) or not isinstance(header.get("type"), str) or header["type"] not in table:
        raise FrameError("unknown frame type")
    checked = {"type": header["type"]}
    for name, kinds in table[header["type"]].items():
        value = checked[name] = header.get(name)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds) or not _is_plain(value):
            raise FrameError(f"field {name!r} of {header['type']} has the wrong type")
    more = header.get("more", False)
    if not isinstance(more, bool):
        raise FrameError("field 'more' has the wrong type")
    return checked | {"more": True} if more else checked


def _is_plain(value: Any) -> bool:
    """Tell whether a value takes no more room than its bytes let one expect: finite, and not nested any deeper."""
    if isinstance(value, (int, float)):
        return -MOST_NUMBER <= value <= MOST_NUMBER
    if isinstance(value, (list, dict)):
        items = value if isinstance(value, list) else value.values()
        return all(isinstance(item, str) or (isinstance(item, int) and _is_plain(item)) for item in items)
    return True


class Decoder:
    """Cuts a byte stream into frames. Feed it anything; it never holds more than one frame beyond what was fed.

    ``strict`` (the host's side) raises FrameError on any byte that is not a frame; otherwise (the agent's side) it
    skips to the next MAGIC, as a resync needs.
    """

    def __init__(self, table: dict[str, dict[str, tuple[type, ...]]], *, strict: bool,
                 most_payload: int = MAX_PAYLOAD) -> None:
        self._table = table
        self._strict = strict
        self._most_payload = most_payload
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that ``data`` completes."""
        buffer = self._buffer
        buffer += data
        position = 0
        try:
            while len(buffer) - position >= PREFIX.size:
                magic, head, body = PREFIX.unpack_from(buffer, position)
                start = position + PREFIX.size + head
                end = start + body + len(TRAILER)
                frame = None
                if magic == MAGIC and head <= MAX_HEADER and body <= self._most_payload:
                    if len(buffer) < end:
                        break
                    frame = self._frame(position + PREFIX.size, start, end)
                if frame is None:
                    position = self._skip(position)
                else:
                    position = end
                    yield frame
        finally:
            del buffer[:position]

    def _frame(self, begin: int, start: int, end: int) -> Frame | None:
        """Return the frame whose header, payload and end stand there; None if it is none."""
        body_end = end - len(TRAILER)
        if self._buffer[body_end:end] != TRAILER:
            return None
        try:
            header = parse_header(bytes(self._buffer[begin:start]), self._table)
        except FrameError:
            if self._strict:
                raise
            return None
        return Frame(header.pop("type"), header, bytes(memoryview(self._buffer)[start:body_end]), start - begin)

    def _skip(self, position: int) -> int:
        """Return where the next frame may begin, beyond ``position``."""
        if self._strict:
            raise FrameError("the stream holds bytes that are no frame")
        found = self._buffer.find(MAGIC, position + 1)
        return found if found >= 0 else max(len(self._buffer) - len(MAGIC) + 1, position + 1)
