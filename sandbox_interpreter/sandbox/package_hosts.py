"""What ``packages`` stands for: the indexes that the package managers are configured to use, and where their files are.

Nothing is listed here. An index that this machine's own pip or npm is configured to use comes first, and the sandbox's
are pointed to it; else the image's own package managers are asked, in a container of their own. Where an index keeps
its files it says itself, in its answer about one package.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urljoin, urlsplit

from sandbox_interpreter.catalogue import host as machine
from sandbox_interpreter.network import plain_host
from sandbox_interpreter.sandbox.gate import Gate, Refused, Resolve, resolve
from sandbox_interpreter.sandbox.packages import Packages

PROBE = """
python3 -c 'from pip._internal.models.index import PyPI; print("pip", PyPI.simple_url)'
pip config get global.index-url | sed 's/^/pip /'
command -v npm >/dev/null && echo npm "$(npm config get registry)"
"""
"""Prints the indexes that an image's package managers are configured to use, one a line behind the manager's name."""

_SECONDS = 10.0
"""For the whole of an index's answer."""
_MOST_BYTES = 8 * 1024 * 1024
"""Of an index's answer about one package; the largest that are known have half of it."""
_MOST_LINES = 8
_JSON = "application/vnd.pypi.simple.v1+json, text/html;q=0.5, application/json;q=0.1"  # PEP 691
_PRIVATE = ("a private address", "a carrier's private address")
_NONSENSE = (ValueError, RecursionError, AttributeError, TypeError, KeyError)
"""What comes of reading an answer that is none."""
_HREF = re.compile(r"""href\s*=\s*["']([^"'#]+)""", re.IGNORECASE)


class Index(NamedTuple):
    """One index: the manager that reads it (pip, npm), its address, and whether this machine's user configured it."""

    manager: str
    url: str
    is_users: bool = True

    @property
    def place(self) -> tuple[str, int] | None:
        """Return its host and port; None if the address is none."""
        return _place(self.url)


class _Only(Packages):
    """Covers one place, for the question to an index itself."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def cover(self, host: str, port: int, kind: str | None = None) -> bool:
        return (host, port) == self._index.place and (kind is None or (self._index.is_users and kind in _PRIVATE))


class PackageHosts(Packages):
    """Finds the hosts when they are first needed. Thread-safe.

    ``ask_image`` returns what ``PROBE`` prints in the image; ``pem`` are certificates to trust besides the system's.
    """

    def __init__(self, ask_image: Callable[[], str], *, pem: bytes = b"", environ: Mapping[str, str] = os.environ,
                 resolve: Resolve = resolve) -> None:
        self._ask_image = ask_image
        self._pem = pem
        self._resolve = resolve
        self._configured = machine.indexes(environ)
        self._lock = threading.Lock()
        self._places: dict[tuple[str, int], bool] | None = None

    def variables(self) -> dict[str, str]:
        """Return the environment that points the sandbox's package managers to this machine's indexes.

        Names and passwords in an address stay here: whoever configured them has not handed them to the code.
        """
        return {name: " ".join(map(_without_password, value.split())) for name, value in self._configured.items()}

    def cover(self, host: str, port: int, kind: str | None = None) -> bool:
        """Tell whether a host at a port is an index or keeps its files.

        A private address may only be that of an index that this machine's user configured, or of its files.
        """
        is_users = self.places().get((host, port))
        return is_users is not None and (kind is None or (is_users and kind in _PRIVATE))

    def places(self) -> Mapping[tuple[str, int], bool]:
        """Return the hosts and ports, each with whether this machine's user configured it or its index."""
        with self._lock:
            if self._places is None:
                self._places = self._find()
            return self._places

    def _find(self) -> dict[tuple[str, int], bool]:
        found: dict[tuple[str, int], bool] = {}
        for index in self._indexes():
            for place in (index.place, *self._file_places(index)):
                if place is not None:
                    found[place] = found.get(place, False) or index.is_users
        return found

    def _indexes(self) -> Iterator[Index]:
        for name, manager in machine.INDEX_VARIABLES.items():
            yield from (Index(manager, url) for url in self._configured.get(name, "").split())
        # One that is configured besides the usual one (PIP_EXTRA_INDEX_URL) replaces none.
        has_own = {machine.INDEX_VARIABLES[name] for name in ("PIP_INDEX_URL", "npm_config_registry")
                   if name in self._configured}
        yield from (index for index in _of_image(self._ask_image()) if index.manager not in has_own)

    def _file_places(self, index: Index) -> Iterable[tuple[str, int] | None]:
        with suppress(OSError, Refused, http.client.HTTPException, *_NONSENSE):
            answer = self._get(index)
            return {_place(urljoin(index.url, url)) for url in _file_urls(index.manager, answer)}
        return ()

    def _get(self, index: Index) -> bytes:
        """Return what an index says of its manager's own package. Raises OSError, Refused, HTTPException."""
        parts = urlsplit(index.url)
        place = index.place
        if place is None:
            return b""
        sock = Gate("packages", packages=_Only(index), resolve=self._resolve).connect(*place)
        with sock, _for_seconds(sock):
            sock.settimeout(_SECONDS)
            if parts.scheme == "https":
                sock = self._context().wrap_socket(sock, server_hostname=place[0])
            connection = http.client.HTTPConnection(*place)
            connection.sock = sock
            path = f"{parts.path.rstrip('/')}/{index.manager}" + ("/" if index.manager == "pip" else "")
            connection.request("GET", path, headers={"Accept": _JSON, "Connection": "close"} | _authorization(parts))
            return connection.getresponse().read(_MOST_BYTES)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._pem:
            context.load_verify_locations(cadata=self._pem.decode("ascii"))
        return context


@contextmanager
def _for_seconds(sock: socket.socket) -> Iterator[None]:
    """End a connection in the midst when its time is over: a server that says a byte now and then is never silent."""
    with sock.dup() as twin:  # TLS takes the first over

        def end() -> None:
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(_SECONDS, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _of_image(printed: str) -> Iterator[Index]:
    """Yield what an image said of itself; what is no index is passed over."""
    found = {}
    for line in printed.splitlines()[:_MOST_LINES]:
        manager, _, url = line.strip().partition(" ")
        if manager in machine.INDEX_VARIABLES.values() and _place(url):
            found[manager] = Index(manager, url, is_users=False)  # what is configured comes behind the default
    yield from found.values()


def _place(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        name = plain_host(parts.hostname or "")
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return None
    return (name, port) if name and port and parts.scheme in ("http", "https") else None


def _file_urls(manager: str, answer: bytes) -> Iterator[str]:
    """Yield addresses of files in an index's answer. Raises one of ``_NONSENSE``."""
    text = answer.decode("utf-8", "replace")
    if manager == "pip" and not text.lstrip().startswith("{"):
        yield from _HREF.findall(text)
        return
    told: Any = json.loads(text)
    if manager == "pip":
        yield from (str(file["url"]) for file in told.get("files", ()) if isinstance(file, dict) and "url" in file)
        return
    for version in told.get("versions", {}).values():
        yield str(version["dist"]["tarball"])


def _authorization(parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    import base64
    from urllib.parse import unquote

    words = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(words.encode()).decode()}


def _without_password(word: str) -> str:
    parts = urlsplit(word)
    if parts.scheme not in ("http", "https"):
        return word
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
