"""Messages that came in several frames, put together again."""

from __future__ import annotations

from .frames import Frame

PASSED_ON = ("file_put", "stdin", "egress_data")  # used as they come; whole, they could take any memory


class Fragments:
    """Frames of messages whose last one is not here yet."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, int], list[bytes]] = {}

    def whole(self, frame: Frame) -> Frame | None:
        """Return a message once its last fragment is here; uploads and stdin as they come."""
        if frame.type in PASSED_ON:
            return frame
        message = frame.type, frame.header.get("id", 0)
        parts = self._parts.setdefault(message, [])
        parts.append(frame.payload)
        if frame.header.get("more"):
            return None
        del self._parts[message]
        return Frame(frame.type, frame.header, b"".join(parts))
