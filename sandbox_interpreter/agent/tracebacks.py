"""Tracebacks that show the user's frames, with the user's own lines, and nothing of the kernel."""

from __future__ import annotations

import traceback

from . import sources

OURS = "<sbi_agent"  # how the file names of the agent's own code begin
MOST_TEXT = 1024 * 1024  # characters, likewise
MOST_LINES = 400  # head and tail of a longer one are kept; nobody reads the middle of a million frames


def render(error: BaseException, name: str) -> str:
    """Return the text of a traceback, ending with a newline; ``name`` is the file name of the user's code."""
    sources.publish()
    try:
        described = traceback.TracebackException.from_exception(error)
        _strip(described, name)
        lines = "".join(described.format()).splitlines(keepends=True)
    except Exception as broken:
        return f"{type(error).__name__}: <its own text cannot be made: {type(broken).__name__}>\n"
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines[half:-half] = [f"  … {len(lines) - MOST_LINES} lines left out …\n"]
    text = "".join(lines)
    if len(text) > MOST_TEXT:
        half = MOST_TEXT // 2
        text = f"{text[:half]}\n  … {len(text) - MOST_TEXT} characters left out …\n{text[-half:]}"
    return text


def _strip(described: traceback.TracebackException, name: str) -> None:
    """Drop the frames before the user's code, and ours after it, from an exception and those it came from."""
    seen: set[int] = set()
    waiting: list[traceback.TracebackException | None] = [described]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        frames = list(each.stack)
        first = next((at for at, frame in enumerate(frames) if frame.filename == name), None)
        # Without a frame of the user's own it is a syntax error, or was raised elsewhere and is shown whole.
        kept = frames[first or 0 :]
        each.stack[:] = [frame for frame in kept if not frame.filename.startswith(OURS)]
        waiting += [each.__cause__, each.__context__, *(each.exceptions or ())]
