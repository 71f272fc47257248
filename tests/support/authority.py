"""A certificate authority for one test, and a server's certificate that it has signed, both made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

_COMMANDS = """\
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Test authority' -keyout ca.key -out ca.pem \
  -addext 'keyUsage=critical,keyCertSign,cRLSign'
openssl req -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout server.key -out server.csr
printf 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:*.example.test' >extensions
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.crt
cat server.key server.crt >server.pem
"""


class Authority(NamedTuple):
    """What to trust (PEM), and a file with key and certificate for 127.0.0.1, localhost and ``*.example.test``."""

    pem: bytes
    identity: Path


def make(folder: Path) -> Authority:
    """Return a new authority whose files are in ``folder``."""
    subprocess.run(["sh", "-ec", _COMMANDS], cwd=folder, check=True, capture_output=True, timeout=60)
    return Authority((folder / "ca.pem").read_bytes(), folder / "server.pem")
