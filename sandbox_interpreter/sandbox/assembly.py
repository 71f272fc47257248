"""Frames of a run into outputs. The frames come from inside the sandbox: nothing in them is believed unchecked."""

from __future__ import annotations

import re

from sandbox_interpreter.agent.frames import Frame, FrameError, cost
from sandbox_interpreter.sandbox.outputs import ActiveLine, Display, Failure, InputRequest, Output, Stream

MOST_DISPLAY = 64 * 1024 * 1024
"""Bytes of one display or traceback, all its forms together."""
_MIME = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]{0,80}")


class Assembler:
    """Turns the frames of one run into outputs, putting fragments together."""

    def __init__(self) -> None:
        self._message: dict[str, object] = {}
        self._parts: list[bytes] = []
        self._size = 0

    def output(self, frame: Frame) -> Output | None:
        """Return the output that ``frame`` completes; None while there is none. Raises FrameError."""
        header = frame.header
        match frame.type:
            case "stream":
                return Stream("stderr" if header["name"] == "stderr" else "stdout", frame.payload)
            case "input_request":
                return InputRequest(_clean(header["prompt"]), header["password"])
            case "active_line":
                return ActiveLine(header["line"] if _is_line(header["line"]) else None)
            case "display_data" | "error":
                payload = self._whole(frame)
                if payload is None:
                    return None
                return _display(header["parts"], payload, result=header["result"]) if frame.type == "display_data" \
                    else _failure(header, payload)
        return None

    def _whole(self, frame: Frame) -> bytes | None:
        message = {**frame.header, "type": frame.type, "more": False}
        if message != self._message:  # the kernel was killed while it sent another; that one has no end
            self._message, self._parts, self._size = message, [], 0
        self._parts.append(frame.payload)
        self._size += cost(frame.payload)
        if self._size > MOST_DISPLAY:
            raise FrameError(f"a display of over {MOST_DISPLAY >> 20} MiB")
        if frame.header.get("more"):
            return None
        payload, self._parts, self._size = b"".join(self._parts), [], 0
        return payload


def _display(lengths: dict[object, object], payload: bytes, *, result: bool) -> Display:
    """Return the display whose forms stand one behind the other in ``payload``."""
    data: dict[str, bytes] = {}
    at = 0
    for mime, length in lengths.items():
        if not isinstance(mime, str) or type(length) is not int or not 0 <= length <= len(payload) - at:
            raise FrameError("a display whose parts do not add up")
        if _MIME.fullmatch(mime):  # a program may make up a type; one that is no type is not shown
            data[mime] = payload[at : at + length]
        at += length
    return Display(data, result)


def _failure(header: dict[str, str], payload: bytes) -> Failure:
    """Return the failure; one without a traceback gets a line that says what it was."""
    name, value = _clean(header["ename"]), _clean(header["evalue"])
    return Failure(name, value, payload.decode("utf-8", "replace") or f"{name}: {value}\n")


def _is_line(line: int | None) -> bool:
    return line is not None and 0 < line < 2**31  # no compiler counts further


def _clean(text: str) -> str:
    """Return ``text`` with the halves of characters replaced, which JSON can say and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
