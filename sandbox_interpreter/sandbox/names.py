"""File names that come from a guest, and the patterns that ask for them."""

from __future__ import annotations

import posixpath
import unicodedata
from fnmatch import fnmatchcase

from sandbox_interpreter.agent.globs import matches as matches
from sandbox_interpreter.errors import TransferError, UsageError

MOST_DEPTH = 64
_NAME_MAX = 255  # bytes of one part; limits.h of Linux
_PATH_MAX = 4096  # bytes of the whole, its closing NUL counted; limits.h of Linux
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the reading direction, so that a name looks like another (CVE-2021-42574)."""


def check_name(name: str) -> tuple[str, ...]:
    """Return the parts of a relative file name. Raises TransferError if it could lead outside, deceive, or break.

    Refused are empty and absolute names, the parts ``.`` and ``..``, control characters, what is not Unicode text, and
    what is longer than Linux allows or deeper than ``MOST_DEPTH``.
    """
    parts = tuple(name.split("/"))
    if any(part in ("", ".", "..") for part in parts):
        raise _refused(name, "it is not a plain relative path")
    # Cc: NUL, newline, escape and their like. Cs: half a character. Zl, Zp: newlines to some readers.
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _TURNING for letter in name):
        raise _refused(name, "it has control characters")
    if len(name.encode()) >= _PATH_MAX or len(parts) > MOST_DEPTH or any(len(x.encode()) > _NAME_MAX for x in parts):
        raise _refused(name, "it is too long")
    return parts


def asks_for(pattern: str, name: str) -> bool:
    """Tell whether a pattern asks for a guest's file: it matches, and says itself where a part begins with a dot.

    As in a shell. ``**`` into a project's own folder must not bring a ``.git/config`` along, which is run there.
    """
    said = [piece for piece in pattern.split("/") if piece.startswith(".")]
    hidden = [part for part in name.split("/") if part.startswith(".")]
    return matches(pattern, name) and all(any(fnmatchcase(part, piece) for piece in said) for part in hidden)


def _refused(name: str, reason: str) -> TransferError:
    return TransferError(f"The sandbox offered a file named {name[:80]!a}, and {reason}.",
                         next_step="It was not copied. Rename it in the sandbox if you need it.")


def check_pattern(pattern: str) -> str:
    """Return a pattern of files in /workspace in its plain relative form. Raises UsageError if it leads elsewhere."""
    plain = posixpath.normpath(pattern)
    if plain.startswith("/workspace/"):
        plain = plain.removeprefix("/workspace/")
    if not pattern or plain.startswith(("/", "../")) or plain in (".", "..") or "\0" in plain:
        raise UsageError(f"{pattern!r} does not name files in /workspace.",
                         next_step="Patterns are relative to it: --artifact 'results/*.csv' --artifact '**/*.png'")
    return plain
