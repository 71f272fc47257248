"""Who may come in: tokens, the clients they stand for, and where they are read from."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox_interpreter import reading
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import ConfigError

LOCAL = "local"
"""The one client of a server without tokens: whoever is on this machine."""
DEFAULT = "default"
"""The client whose token has no name."""
LEAST = 16
"""Characters of a token: 16 random ones of base64 are 96 bits, past guessing over a network."""
_TOKEN = re.compile(r"[!-~]+")  # what an HTTP header carries unchanged
_HOW = "Make one: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


@dataclass(frozen=True)
class Tokens:
    """The digest of each client's token, by the client's name. None: no token is asked for."""

    digests: Mapping[str, bytes]

    def __bool__(self) -> bool:
        return bool(self.digests)

    def client(self, shown: str) -> str | None:
        """Return whose token ``shown`` is, or None. The time it takes tells nothing about the tokens."""
        digest = _digest(shown)
        found = None
        for name, known in self.digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        return found


def generate() -> str:
    """Return a new token."""
    return secrets.token_urlsafe(32)


def of(settings: Settings) -> Tokens:
    """Return the tokens that the settings name: ``token`` itself, and those in ``token_file``. Raises ConfigError."""
    entries = [(DEFAULT, settings.token, "token")] if settings.token else []
    if settings.token_file:
        entries += _read(Path(settings.token_file).expanduser())
    return collect(entries)


def collect(entries: Iterable[tuple[str, str, str]]) -> Tokens:
    """Return the tokens of ``entries``: a client's name, its token, and where that stands. Raises ConfigError."""
    digests: dict[str, bytes] = {}
    for name, token, where in entries:
        if len(token) < LEAST or not _TOKEN.fullmatch(token):
            # The token itself is not repeated: what prints this may be a log.
            raise ConfigError(f"{where}: a token has at least {LEAST} characters, of visible ASCII.", next_step=_HOW)
        if name in digests or _digest(token) in digests.values():
            raise ConfigError(f"{where}: the client {name!r} or its token is there twice.",
                              next_step="Give each client a name and a token of its own.")
        digests[name] = _digest(token)
    return Tokens(digests)


def is_open_to_others(path: Path) -> bool:
    """Tell whether other users of this machine may read the file ``path``."""
    return bool(path.expanduser().stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _read(path: Path) -> list[tuple[str, str, str]]:
    try:
        lines = reading.read_text(path, reading.LIST).splitlines()
    except (OSError, ValueError) as error:
        raise ConfigError(f"The token file {path} cannot be read: {reading.reason(error)}.",
                          next_step="It holds one token a line; a client's name may stand before it.") from None
    entries = [_entry(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)
               if line.strip() and not line.lstrip().startswith("#")]
    if not entries:
        raise ConfigError(f"The token file {path} holds no token.", next_step=_HOW)
    return entries


def _entry(line: str, where: str) -> tuple[str, str, str]:
    words = line.split()
    if len(words) > 2:
        raise ConfigError(f"{where} has more than a name and a token.", next_step="For example: alice 9vR…")
    return (words[0] if len(words) == 2 else DEFAULT), words[-1], where


def _digest(token: str) -> bytes:
    # Digests have one length, so comparing them does not even tell how long a token is.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
