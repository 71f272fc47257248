"""Text files that the user names, written through no link: a stranger's repository, or code, may have put one there.

A leaf.
"""

from __future__ import annotations

import os
from pathlib import Path

_SYSTEM = ("/dev", "/proc")
"""Where links are the system's own: /dev/stdout."""


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, in the place of what the file holds. Raises OSError, for a link in its place, too."""
    no_links = 0 if any(path.is_relative_to(place) for place in _SYSTEM) else os.O_NOFOLLOW
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | no_links, 0o666)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
