"""An engine over TCP is met with the certificates that go with its address, however it is named."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfile

import pytest

from sandbox_interpreter.engines.address import address_of
from sandbox_interpreter.engines.docker_client import connect
from sandbox_interpreter.errors import EngineUnreachable
from tests.support import authority
from tests.support.authority import Authority


class Engine(BaseHTTPRequestHandler):
    """Answers a ping, and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path.endswith("/_ping") else 404)
        self.send_header("Api-Version", "1.44")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def engine(trusted: Authority) -> Iterator[str]:
    """Give the address of an engine that speaks with certified clients alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted.identity)
    context.load_verify_locations(cadata=trusted.pem.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients without a certificate are meant
        (serving := threading.Thread(target=server.serve_forever, daemon=True)).start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


@pytest.fixture
def certificates(trusted: Authority, tmp_path: Path) -> Path:
    """Give a folder with a client's certificates, by the names that Docker looks for."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    for name, source in (("ca", trusted.identity.with_name("ca.pem")), ("cert", trusted.identity),
                         ("key", trusted.identity)):
        copyfile(source, folder / f"{name}.pem")
    return folder


@pytest.fixture
def contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give Docker's settings folder, in which nothing is yet."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    for name in ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    return folder


def written(contexts: Path, name: str, text: str, certificates: Path | None = None) -> str:
    """Return the setting that names a context with that meta file, as `docker context create` leaves one."""
    digest = sha256(name.encode()).hexdigest()
    (meta := contexts / "contexts/meta" / digest).mkdir(parents=True)
    (meta / "meta.json").write_text(text)
    if certificates:
        (contexts / "contexts/tls" / digest).mkdir(parents=True)
        certificates.rename(contexts / "contexts/tls" / digest / "docker")
    return f"context:{name}"


def meta(name: str, host: str) -> str:
    return json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": False}}})


@pytest.mark.parametrize("way", ["setting", "DOCKER_HOST"])
def test_an_address_is_met_with_the_certificates_of_the_environment(
        way: str, engine: str, certificates: Path, contexts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    if way == "DOCKER_HOST":
        monkeypatch.setenv("DOCKER_HOST", engine)
    connection = connect(engine if way == "setting" else None)
    assert (connection.name, connection.client.api_version, connection.address) == ("docker", "1.44", engine)
    connection.close()


def test_a_context_brings_its_own(engine: str, certificates: Path, contexts: Path) -> None:
    setting = written(contexts, "far", meta("far", engine), certificates)
    connection = connect(setting)
    assert (address_of(setting), connection.address) == (engine, engine)
    connection.close()


@pytest.mark.parametrize("named", ["setting", "context"])
def test_without_certificates_it_is_not_met_and_that_is_told(named: str, engine: str, contexts: Path) -> None:
    setting = engine if named == "setting" else written(contexts, "bare", meta("bare", engine))
    with pytest.raises(EngineUnreachable, match=f"answers at {engine}: "):
        connect(setting)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Name": "x", "Endpoints": 1}'])
def test_a_context_that_cannot_be_read_is_named(text: str, contexts: Path) -> None:
    with pytest.raises(EngineUnreachable, match="context 'broken' cannot be read") as caught:
        connect(written(contexts, "broken", text))
    assert caught.value.next_step == "See what is wrong: docker context inspect broken"


def test_a_context_that_is_none_is_named_though_the_current_folder_has_one(
        contexts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder may be a stranger's repository."""
    written(tmp_path, "lost", meta("lost", "tcp://192.0.2.1:2375"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineUnreachable, match="no engine context 'lost'"):
        connect("context:lost")


def test_the_default_context_is_the_usual_engine(contexts: Path) -> None:
    assert address_of("context:default") is address_of("docker") is address_of(None) is None
