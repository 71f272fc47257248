"""An image that was built --with-ca: every client in it trusts a server that only that authority vouches for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox_interpreter.catalogue import build, certificates
from sandbox_interpreter.catalogue.build import BuildOptions
from sandbox_interpreter.catalogue.certificates import Certificates
from sandbox_interpreter.catalogue.index import BundledImage
from sandbox_interpreter.catalogue.trust import VARIABLES
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.engines.image_base import ImageStore
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support.runs import run

MAKE_CERTIFICATES = """
set -e
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj '/CN=Example authority' -keyout ca.key -out ca.pem \
    -addext keyUsage=critical,keyCertSign
openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
printf 'subjectAltName=DNS:localhost\\nauthorityKeyIdentifier=keyid\\n' >extensions
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem
"""

SERVE = """
import functools, http.server, pathlib, ssl, subprocess, threading, zipfile
root = pathlib.Path("/tmp/www")
(root / "simple" / "proof").mkdir(parents=True)
with zipfile.ZipFile(root / "simple" / "proof" / "proof-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("proof.py", "")
    wheel.writestr("proof-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: proof\\nVersion: 1.0\\n")
    wheel.writestr("proof-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr("proof-1.0.dist-info/RECORD", "")
(root / "simple" / "proof" / "index.html").write_text('<a href="proof-1.0-py3-none-any.whl">proof</a>')
subprocess.run("git init -q --bare repo.git && git -C repo.git update-server-info", shell=True, cwd=root, check=True)
class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 8443), functools.partial(Quiet, directory=root))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/workspace/server.pem", "/workspace/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
"""

CLIENTS = {
    "curl": "curl --silent --show-error --fail https://localhost:8443/simple/proof/",
    "git": "git ls-remote https://localhost:8443/repo.git",
    "pip": "pip download --no-deps --quiet --dest /tmp --index-url https://localhost:8443/simple/ proof",
    "python": "python3 -c 'import urllib.request; urllib.request.urlopen(\"https://localhost:8443/simple/proof/\")'",
    "requests": "python3 -c 'import requests; requests.get(\"https://localhost:8443/\").raise_for_status()'",
}


@pytest.fixture
def pki(engine: DockerEngine, tmp_path: Path) -> Path:
    """Make an authority and a certificate for localhost that it signed; return their folder."""
    folder = tmp_path / "pki"
    folder.mkdir()
    folder.chmod(0o777)
    with Sandbox("base", engine=engine, workspace=folder) as box:
        made = run(box, "shell", MAKE_CERTIFICATES)
    assert made.result.exit_code == 0, made.stderr
    return folder


@pytest.fixture
def image(throwaway: BundledImage) -> BundledImage:
    (throwaway.folder / "Dockerfile").write_text("ARG PARENT\nFROM ${PARENT}\nCMD [\"true\"]\n")
    return replace(throwaway, parent="python")


@pytest.fixture
def served(image: BundledImage, store: ImageStore, pki: Path, engine: DockerEngine) -> Iterator[Sandbox]:
    """Give a sandbox of an image that trusts the authority, with a server in it."""
    ca = certificates.read(pki / "ca.pem", "ca_bundle")
    list(build.build(image, store, BuildOptions(ca=ca, with_ca=True)))
    with Sandbox(image.tag, engine=engine, workspace=pki) as box:
        assert run(box, "python", SERVE).result.exit_code == 0
        yield box


def test_every_client_trusts_the_server(served: Sandbox) -> None:
    failed = {name: done.stderr for name, command in CLIENTS.items()
              if (done := run(served, "shell", command)).result.exit_code}
    assert failed == {}


def test_without_it_every_client_refuses(image: BundledImage, store: ImageStore, pki: Path,
                                         engine: DockerEngine) -> None:
    list(build.build(image, store, BuildOptions(ca=certificates.read(pki / "ca.pem", "ca_bundle"))))
    with Sandbox(image.tag, engine=engine, workspace=pki) as box:
        assert run(box, "python", SERVE).result.exit_code == 0
        trusting = [name for name, command in CLIENTS.items() if run(box, "shell", command).result.exit_code == 0]
    assert trusting == []


def test_npm_and_node_are_told_too(served: Sandbox) -> None:
    values = run(served, "shell", "printf '%s\\n' " + " ".join(f'"${name}"' for name in VARIABLES)).stdout.split()
    assert len(values) == len(VARIABLES)
    assert set(values) == {"/etc/ssl/certs/ca-certificates.crt"}
    assert {"NODE_EXTRA_CA_CERTS", "NPM_CONFIG_CAFILE"} <= set(VARIABLES)


def test_the_image_is_labelled_with_the_digest_and_nothing_is_done_twice(
        image: BundledImage, store: ImageStore, pki: Path) -> None:
    ca = certificates.read(pki / "ca.pem", "ca_bundle")
    how = BuildOptions(ca=ca, with_ca=True)
    list(build.build(image, store, how))
    info = store.image(image.tag)
    assert info is not None
    assert info.labels[build.CA_LABEL] == ca.digest
    assert [step.text for step in build.build(image, store, how)][-1] == f"{image.tag} is up to date"
    again = store.image(image.tag)
    assert again is not None
    assert again.id == info.id


def test_another_bundle_replaces_the_first(image: BundledImage, store: ImageStore, pki: Path,
                                           engine: DockerEngine) -> None:
    first = certificates.read(pki / "ca.pem", "ca_bundle")
    list(build.build(image, store, BuildOptions(ca=first, with_ca=True)))
    second = Certificates((certificates.read(pki / "server.pem", "ca_bundle").blocks[0],))
    list(build.build(image, store, BuildOptions(ca=second, with_ca=True)))
    info = store.image(image.tag)
    assert info is not None
    assert info.labels[build.CA_LABEL] == second.digest
    with Sandbox(image.tag, engine=engine) as box:
        added = run(box, "shell", "cat /usr/local/share/ca-certificates/*").stdout
    assert added.encode() == second.pem

