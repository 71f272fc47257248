"""Files that the user names, read no further than such a file can reach: /dev/zero has no end. A leaf."""

from __future__ import annotations

from pathlib import Path

LIST = 1024 * 1024
"""Bytes of a file of lines: variables, tokens."""
SOURCE = 64 * 1024 * 1024
"""Bytes of a program's source."""


def read(path: Path, most: int) -> bytes:
    """Return what a file holds. A pipe is waited for, as by any program: its writer may still be at work.

    Raises OSError, and ValueError, whose text ends a sentence, for one of more than ``most`` bytes.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"it has more than {most >> 20} MiB")
    return data


def read_text(path: Path, most: int) -> str:
    """Return what a file of UTF-8 text holds. Raises OSError; ValueError, whose text ends a sentence."""
    try:
        return read(path, most).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def reason(error: OSError | ValueError) -> str:
    """Return why a file could not be read, as words that end a sentence."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
