"""The engines of the matrix: how each is started, and how it is reached."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineUnreachable
from tests.support.engine_gaps import FAR, GVISOR, NO_SOCKET, OWN_NETWORK, PODMAN, UNPROVED
from tests.support.engine_root import Network, Root, Unavailable, cabled, disks

__all__ = ["KINDS", "Kind", "Unavailable"]

START_SECONDS = 60
SSH_PORT = 2222
Environment = dict[str, str]
Start = Callable[[Root], AbstractContextManager[Environment]]


@dataclass(frozen=True)
class Kind:
    """One engine. ``started`` gives the environment of tests on it; ``gaps`` are tests left out, with the reason."""

    what: str
    started: Start
    gaps: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def address(environment: Environment) -> str:
        """Return where images are to be copied; "" for the engine that has them."""
        return environment.get("MATRIX_SOCKET", "")


@contextmanager
def installed(_: Root) -> Iterator[Environment]:
    """Give the engine that is there anyway."""
    try:
        DockerEngine().close()
    except EngineUnreachable as error:
        raise Unavailable(str(error)) from None
    yield dict(os.environ)


@contextmanager
def folder_of(name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=f"engine-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once an engine answers there. Raises Unavailable."""
    give_up = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            DockerEngine(address).close()
        except EngineUnreachable:
            time.sleep(0.2)
        else:
            return
    raise Unavailable(f"it does not start: {' '.join(log.read_text(errors='replace').split())[-400:]}")


DATA = "/var/lib/docker-tests"
"""The Docker Engine's images, in the folder: they stay, and are the same whichever way it is reached."""


def dockerd(*options: str, network: Network | None = None, alone: bool = False,
            prepare: Callable[[Path], object] = lambda _: None) -> Start:
    """Return what starts the folder's Docker Engine, in ``network`` if one is given.

    FOLDER in ``options`` stands for a new one, which ``prepare`` is given first. ``alone``: it sees no other of this
    machine.
    """

    @contextmanager
    def started(root: Root) -> Iterator[Environment]:
        root.prepare()
        with folder_of("docker") as folder, disks() as small:
            prepare(folder)
            address, log = f"unix://{folder}/api.sock", folder / "log"
            words = ["dockerd", "-H", address, "--data-root", DATA, "--exec-root", f"{folder}/exec",
                     "--pidfile", f"{folder}/pid", *(option.replace("FOLDER", str(folder)) for option in options)]
            with root.running(*words, log=log, network=network, alone=folder if alone else None) as process:
                wait_for(address, process, log)
                yield os.environ | {"DOCKER_HOST": address, "MATRIX_SOCKET": address, "MATRIX_FOLDER": str(folder),
                                    "MATRIX_DISKS": str(small)}

    return started


@contextmanager
def podman(root: Root) -> Iterator[Environment]:
    """Give Podman's API service."""
    root.prepare()
    with folder_of("podman") as folder, disks() as small:
        address, log = f"unix://{folder}/api.sock", folder / "log"
        # runc: crun wants one kind of control groups, and machines have both.
        words = ["podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "--root=/var/lib/podman-tests",
                 "system", "service", "-t", "0", address]
        with root.running(*words, log=log) as process:
            wait_for(address, process, log)
            yield os.environ | {"DOCKER_HOST": address, "MATRIX_SOCKET": address, "MATRIX_DISKS": str(small)}


def certify(folder: Path, address: str) -> None:
    """Make an authority, a server and a client of it, by the names that Docker looks for. Raises Unavailable."""
    def openssl(*words: str) -> None:
        try:
            subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise Unavailable(f"openssl makes no certificate: {error}") from None

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority", "-keyout", "ca-key.pem",
            "-out", "ca.pem", "-days", "2")
    for name, use in (("server", "serverAuth"), ("", "clientAuth")):
        prefix = f"{name}-" if name else ""
        (folder / "extensions").write_text(f"extendedKeyUsage={use}\nsubjectAltName=IP:{address},IP:127.0.0.1\n")
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={use}", "-keyout", f"{prefix}key.pem",
                "-out", "request.pem")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial",
                "-days", "2", "-extfile", "extensions", "-out", f"{prefix}cert.pem")


def choose_gvisor(folder: Path) -> None:
    """Make runsc the runtime of whatever asks for none."""
    runsc = {"path": "/usr/bin/runsc", "runtimeArgs": ["--platform=systrap", "--network=none"]}
    (folder / "daemon.json").write_text(json.dumps({"runtimes": {"runsc": runsc}, "default-runtime": "runsc"}))


@contextmanager
def tls(root: Root) -> Iterator[Environment]:
    """Give Docker Engine at a TCP address that takes certified clients only."""
    with cabled() as network:
        address = f"tcp://{network.address}:2376"
        start = dockerd("-H", address, "--tlsverify", "--tlscacert=FOLDER/ca.pem",
                        "--tlscert=FOLDER/server-cert.pem", "--tlskey=FOLDER/server-key.pem", network=network,
                        prepare=lambda folder: certify(folder, network.address))
        with start(root) as environment:
            yield environment | {"DOCKER_HOST": address, "DOCKER_TLS_VERIFY": "1",
                                 "DOCKER_CERT_PATH": environment["MATRIX_FOLDER"]}


@contextmanager
def ssh(root: Root) -> Iterator[Environment]:
    """Give Docker Engine as on another machine, behind an ssh server that takes one key."""
    if not shutil.which("ssh"):
        raise Unavailable("there is no ssh client; apt-get install openssh-client")
    with (cabled() as network, dockerd(network=network, alone=True)(root) as environment, folder_of("ssh") as folder):
        log = folder / "log"
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        (folder / "server").write_text(
            f"Port {SSH_PORT}\nListenAddress {network.address}\nHostKey {folder}/host\n"
            f"AuthorizedKeysFile {folder}/user.pub\n"
            "StrictModes no\nUsePAM no\nPidFile none\nMaxStartups 100\nMaxSessions 100\n")
        (folder / "client").write_text(
            f"IdentityFile {folder}/user\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known\n"
            "StrictHostKeyChecking accept-new\n")
        # OpenSSH asks the system where the home is, so no variable leads it to another configuration.
        (folder / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/client "$@"\n')
        (folder / "ssh").chmod(0o755)
        words = ["sh", "-c", f"mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f {folder}/server"]
        with root.running(*words, log=log, network=network):
            wait_for_port(network.address, log)
            there = environment["MATRIX_SOCKET"].removeprefix("unix://")
            yield environment | {"DOCKER_HOST": f"ssh://root@{network.address}:{SSH_PORT}{there}", "MATRIX_FAR": "1",
                                 "PATH": f"{folder}:{os.environ['PATH']}"}


def wait_for_port(address: str, log: Path) -> None:
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        with suppress(OSError), socket.create_connection((address, SSH_PORT), 1):
            return
        time.sleep(0.1)
    raise Unavailable(f"sshd does not start: {log.read_text(errors='replace')[-400:]}")


KINDS = {
    "installed": Kind("the engine that is installed", installed),
    "current": Kind("a current Docker Engine", dockerd(), OWN_NETWORK),
    "podman": Kind("Podman's API service", podman, PODMAN),
    "gvisor": Kind("Docker Engine with gVisor", dockerd("--config-file=FOLDER/daemon.json",
                                                        prepare=choose_gvisor), GVISOR),
    "tls": Kind("Docker Engine over TCP with TLS", tls, OWN_NETWORK | NO_SOCKET | UNPROVED),
    "ssh": Kind("Docker Engine as on another machine, at the other end of ssh", ssh, FAR),
}
