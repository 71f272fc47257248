"""Whether what is written may have colour and move the cursor."""

from __future__ import annotations

import os

from sandbox_interpreter.config import Settings


def is_plain(settings: Settings, *, is_terminal: bool) -> bool:
    """Tell whether only plain text may be written: elsewhere than on a terminal, with ``plain``, and for NO_COLOR."""
    return settings.plain or bool(os.environ.get("NO_COLOR")) or not is_terminal or is_dumb()


def is_dumb() -> bool:
    """Tell whether the terminal, by its own account, can do nothing but write."""
    return os.environ.get("TERM", "").lower() in ("", "dumb", "unknown")
