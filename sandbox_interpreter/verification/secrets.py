"""What looks like a secret: in a variable, a command, or a file. What was found is named by its kind, never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_BYTES = 1024 * 1024
"""Of a file that is looked into; keys and settings files are a few KiB."""

# Each is as its issuer documents it: a fixed beginning, then characters enough that no word is taken for one. The
# beginning is looked for first, which is a hundred times as fast as the pattern.
_TOKENS = tuple((kind, start, re.compile(pattern)) for kind, start, pattern in (
    ("a private key", b"PRIVATE KEY",
     rb"-----BEGIN [A-Z ]{0,20}PRIVATE KEY[A-Z ]{0,20}-----\s{1,4}(?:[\w-]{1,40}:[^\n]{0,200}\n\n?){0,4}[\w+/=]{60}"),
    ("an AWS access key", b"AKIA", rb"\bAKIA(?![0-9A-Z]{9}EXAMPLE)[0-9A-Z]{16}\b"),
    ("a GitHub token", b"gh", rb"\bgh[pousr]_[A-Za-z0-9]{36,}\b"),
    ("a GitHub token", b"github_pat_", rb"\bgithub_pat_\w{60,}"),
    ("a GitLab token", b"glpat-", rb"\bglpat-[\w-]{20,}"),
    ("a Slack token", b"xox", rb"\bxox[abprs]-\d[\w-]{20,}"),
    ("an npm token", b"npm_", rb"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a PyPI token", b"pypi-AgE", rb"\bpypi-AgE[\w-]{50,}"),
    ("a model provider's key", b"sk-", rb"\bsk-(?:proj-|ant-|or-)[\w-]{32,}"),
    ("a Google API key", b"AIza", rb"\bAIza[\w-]{35}\b"),
))
_NAME = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|API_?KEY|PRIVATE_KEY|ACCESS_KEY)"
                   r"(?:_|$)", re.IGNORECASE)
_ADDRESS = re.compile(rb"\b[a-z][a-z0-9+.-]{0,20}://[^/\s:@]+:[^/\s:@]+@", re.IGNORECASE)
_SETTINGS = (
    ("/.netrc", re.compile(rb"\bpassword\s+\S")),
    ("/.npmrc", re.compile(rb"(?:_authToken|_password|_auth)\s*=\s*[^\s$]")),
    ("/.pypirc", re.compile(rb"^[ \t]*password[ \t]*[=:][ \t]*\S", re.MULTILINE)),
    ("/.pgpass", re.compile(rb"^[^#\s:][^:\n]*(?::[^:\n]*){3}:\S", re.MULTILINE)),
    ("/.env", re.compile(rb"^\w{0,40}(?:PASSWORD|SECRET|TOKEN|API_?KEY)\w{0,40}=\S", re.MULTILINE | re.IGNORECASE)),
    ("/.docker/config.json", re.compile(rb'"auth"\s*:\s*"\w')),
    ("/.aws/credentials", re.compile(rb"aws_secret_access_key\s*=\s*\S")),
    ("/.git-credentials", _ADDRESS), ("/pip.conf", _ADDRESS), (".sources", _ADDRESS), (".list", _ADDRESS),
)
"""Files that programs keep passwords in, by the ends of their paths, and how each writes one.

No pattern may repeat a repetition, or begin again where an earlier try has looked already: files are hostile.
"""


def in_variable(name: str, value: str) -> Iterator[str]:
    """Yield what looks like a secret in an environment variable: its name says so, or its value."""
    if value and _NAME.search(name):
        yield "a value that its name calls secret"
    yield from in_text(value)


def in_text(text: str) -> Iterator[str]:
    """Yield what looks like a secret in a command or a value, an address with a password in it included."""
    data = text.encode()
    yield from _tokens(data)
    if _ADDRESS.search(data):
        yield "an address with a password"


def in_file(path: str, data: bytes) -> Iterator[str]:
    """Yield what looks like a secret in a file that was read whole. Programs and their bytecode are passed over."""
    if b"\0" in data[:1024]:
        return
    if any(path.endswith(end) and pattern.search(data) for end, pattern in _SETTINGS):
        yield "a password"
    yield from _tokens(data)


def _tokens(data: bytes) -> Iterator[str]:
    for kind, start, pattern in _TOKENS:
        if start in data and pattern.search(data):
            yield kind
