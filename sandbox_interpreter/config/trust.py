"""Which project files the user has trusted: paths with the digest of what was trusted, in the user's config folder.

A file that was changed since has another digest, and needs to be trusted again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from sandbox_interpreter.config.records import Record

_RECORD = Record("trusted.json", "trusted files",
                 "Remove it, and trust again what you trust: sbi config trust")


def record() -> Path:
    """Return the path of the file that holds what is trusted."""
    return _RECORD.path


def is_trusted(path: Path, data: bytes) -> bool:
    """Tell whether the file at ``path`` was trusted when it held ``data``. Raises ConfigError for a broken record."""
    return _RECORD.read().get(str(path)) == _digest(data)


def trust(path: Path, data: bytes) -> None:
    """Record that the file at ``path`` is trusted as long as it holds ``data``. Raises ConfigError."""
    _RECORD.write(_RECORD.read() | {str(path): _digest(data)})


def forget(path: Path) -> bool:
    """Take the trust away from a file, and tell whether it had any. Raises ConfigError."""
    trusted = _RECORD.read()
    if trusted.pop(str(path), None) is None:
        return False
    _RECORD.write(trusted)
    return True


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
