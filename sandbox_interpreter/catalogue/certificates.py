"""Extra certificates: where the host keeps them, and how an image comes to trust them."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox_interpreter import reading
from sandbox_interpreter.errors import ConfigError

HOST_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
"""Where a host usually names its own bundle: OpenSSL and Python, requests, pip; the first that is set counts."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Certificates:
    """Certificates in PEM form, in the order of the file; nothing else of the file (a private key, say) is kept."""

    blocks: tuple[bytes, ...]

    @property
    def pem(self) -> bytes:
        """Return them as one bundle."""
        return b"".join(self.blocks)

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the bundle, in hexadecimal."""
        return hashlib.sha256(self.pem).hexdigest()


def find(setting: str | None, environ: Mapping[str, str]) -> Certificates | None:
    """Return the certificates of the setting ``ca_bundle``, else of the host's own variables, else None.

    Raises ConfigError when the file that is named cannot be read or is not PEM.
    """
    for source, value in [("ca_bundle", setting), *((name, environ.get(name)) for name in HOST_VARIABLES)]:
        if value:
            return read(Path(value).expanduser(), source)
    return None


def read(path: Path, source: str) -> Certificates:
    """Return the certificates in a PEM file; ``source``, a setting or variable, names it. Raises ConfigError."""
    mend = f"Correct {source}, or unset it."
    try:
        data = reading.read(path, reading.SOURCE)
    except (OSError, ValueError) as error:
        raise ConfigError(f"The CA bundle {path} ({source}) cannot be read: {reading.reason(error)}.",
                          next_step=mend) from None
    blocks = _certificates(data)
    if not blocks:
        raise ConfigError(f"The CA bundle {path} ({source}) does not hold certificates in PEM form.",
                          next_step=f"{mend} To convert one: openssl x509 -inform der -in CERT -out CERT.pem")
    return Certificates(blocks)


def _certificates(data: bytes) -> tuple[bytes, ...]:
    import ssl

    # Only loading tells whether the bytes between the marks are a certificate at all.
    store = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        ders = [base64.b64decode(b"".join(match[1].split()), validate=True) for match in _PEM.finditer(data)]
        for der in ders:
            store.load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError):
        return ()
    return tuple(ssl.DER_cert_to_PEM_cert(der).encode() for der in ders)
