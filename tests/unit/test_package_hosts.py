"""The hosts of package managers: from this machine's configuration, from the image's, and from what an index says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sandbox_interpreter.catalogue import host as machine
from sandbox_interpreter.sandbox import package_hosts
from sandbox_interpreter.sandbox.package_hosts import PackageHosts

JSON = {"files": [{"url": "https://files.example/pip-1.tar.gz"}, {"url": "../../local/pip-2.whl"}, "junk"]}
HTML = '<a href="https://files.example/pip-1.whl#sha256=0">x</a><A HREF=\'/files/pip-2.whl\'>y</A>'
NPM = {"versions": {"1.0.0": {"dist": {"tarball": "https://tarballs.example:8443/npm.tgz"}}}}


class IndexServer(ThreadingHTTPServer):
    """Answers every request with ``body``, or endless blanks if it ``drips``; ``asked``: paths and authorizations."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = b""
        self.drips = False
        self.asked: list[tuple[str, str | None]] = []


class _Handler(BaseHTTPRequestHandler):
    server: IndexServer

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while self.server.drips:
                self.wfile.write(b" ")
                time.sleep(0.05)
            self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with IndexServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def loopback_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test's servers stand where a mirror of a company's own would."""
    monkeypatch.setattr(package_hosts, "_PRIVATE", ("a private address", "a loopback address"))


@pytest.fixture(autouse=True)
def nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "pip_config_files", lambda _environ: [])
    monkeypatch.setattr(machine, "npm_config_files", lambda _environ: [])


def here(_name: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def test_an_index_that_never_comes_to_an_end_is_given_up(index: IndexServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_hosts, "_SECONDS", 0.5)
    index.drips = True
    port = index.server_port
    hosts = PackageHosts(lambda: "", environ={"PIP_INDEX_URL": f"http://mirror.example:{port}/simple"}, resolve=here)
    assert hosts.cover("mirror.example", port)


@pytest.mark.parametrize("body", [json.dumps(JSON), HTML])
def test_an_index_tells_where_its_files_are(index: IndexServer, body: str) -> None:
    index.body = body.encode()
    port = index.server_port
    hosts = PackageHosts(lambda: "", environ={"PIP_INDEX_URL": f"http://mirror.example:{port}/simple"}, resolve=here)
    assert hosts.cover("mirror.example", port)
    assert hosts.cover("files.example", 443)
    assert not hosts.cover("files.example", 80)
    assert not hosts.cover("other.example", 443)
    assert index.asked == [("/simple/pip/", None)]  # once


def test_npm_tells_it_too_and_its_registry_is_found_in_npmrc(index: IndexServer, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    index.body = json.dumps(NPM).encode()
    (tmp_path / "npmrc").write_text(f"fund=false\nregistry = \"http://npm.example:{index.server_port}/\"\n")
    monkeypatch.setattr(machine, "npm_config_files", lambda _environ: [tmp_path / "npmrc"])
    hosts = PackageHosts(lambda: "", environ={}, resolve=here)
    assert hosts.variables() == {"npm_config_registry": f"http://npm.example:{index.server_port}/"}
    assert hosts.cover("npm.example", index.server_port)
    assert hosts.cover("tarballs.example", 8443)
    assert index.asked == [("/npm", None)]


def test_what_this_machine_does_not_configure_the_image_is_asked_for() -> None:
    printed = ("pip https://default.example/simple\npip https://image.example:8443/simple\nnpm http://npm.example/\n"
               "rubbish\n\npip file:///etc\npip http://[::1\npip javascript:x\n" + "pip https://late.example\n" * 9)
    hosts = PackageHosts(lambda: printed, environ={}, resolve=lambda *_: [])
    assert hosts.variables() == {}
    assert hosts.cover("image.example", 8443)  # what is configured replaces the manager's own default
    assert not hosts.cover("default.example", 443)
    assert hosts.cover("npm.example", 80)
    assert not hosts.cover("late.example", 443)


def test_a_private_address_may_be_that_of_an_index_that_the_user_configured_and_of_no_other() -> None:
    printed = "pip https://image.example/simple\nnpm https://npm.example/\n"
    hosts = PackageHosts(lambda: printed, environ={"PIP_INDEX_URL": "https://mirror.example/simple"},
                         resolve=lambda *_: [])
    assert hosts.cover("mirror.example", 443, "a private address")
    assert not hosts.cover("mirror.example", 443, "a metadata service")
    assert not hosts.cover("mirror.example", 443, "a link-local address")
    assert hosts.cover("npm.example", 443)
    assert not hosts.cover("npm.example", 443, "a private address")
    assert not hosts.cover("image.example", 443)


def test_an_index_that_an_image_names_is_not_asked_at_an_address_inside(index: IndexServer) -> None:
    printed = f"pip http://metadata.example:{index.server_port}/latest\n"
    hosts = PackageHosts(lambda: printed, environ={}, resolve=here)
    assert hosts.cover("metadata.example", index.server_port)
    assert index.asked == []


def test_names_and_passwords_are_used_and_not_handed_to_the_code(index: IndexServer) -> None:
    url = f"http://ada:s%C3%A9cret@mirror.example:{index.server_port}/simple"
    hosts = PackageHosts(lambda: "", environ={"PIP_INDEX_URL": url, "PIP_TRUSTED_HOST": "mirror.example"}, resolve=here)
    assert hosts.variables() == {"PIP_INDEX_URL": f"http://mirror.example:{index.server_port}/simple",
                                 "PIP_TRUSTED_HOST": "mirror.example"}
    assert hosts.cover("mirror.example", index.server_port)
    assert index.asked == [("/simple/pip/", "Basic YWRhOnPDqWNyZXQ=")]


def test_an_index_besides_the_usual_one_replaces_none() -> None:
    hosts = PackageHosts(lambda: "pip https://image.example/simple", resolve=lambda *_: [],
                         environ={"PIP_EXTRA_INDEX_URL": "https://extra.example/simple"})
    assert hosts.cover("image.example", 443)
    assert hosts.cover("extra.example", 443)


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b'{"files": 7}', b'{"files": [{"url": "http://["}]}',
                                  b"{", b'{"versions": []}', b"null"])
def test_an_index_that_talks_nonsense_is_an_index_all_the_same(index: IndexServer, body: bytes) -> None:
    index.body = body
    for variable in ("PIP_INDEX_URL", "npm_config_registry"):
        environ = {variable: f"http://mirror.example:{index.server_port}/"}
        hosts = PackageHosts(lambda: "", environ=environ, resolve=here)
        assert hosts.cover("mirror.example", index.server_port)
        assert not hosts.cover("files.example", 443)
