"""--network packages in a container: what this machine is configured to install from is reached, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox_interpreter.catalogue import host as machine
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox import package_hosts, way_out
from sandbox_interpreter.sandbox.gate import Decision
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from tests.support import packages
from tests.support.runs import run
from tests.support.web import Web, web

NAMES = ("mirror.test", "files.test", "elsewhere.test")


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """Give a server by three names in a company's network: a mirror, where it keeps its files, and another one."""
    asked = socket.getaddrinfo

    def known_here(name: Any, *arguments: Any, **options: Any) -> Any:
        return asked("127.0.0.1" if name in NAMES else name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known_here)
    monkeypatch.setattr(package_hosts, "_PRIVATE", ("a private address", "a loopback address"))
    for configured in ("pip_config_files", "npm_config_files"):
        monkeypatch.setattr(machine, configured, lambda _environ: [])
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "npm_config_registry"):
        monkeypatch.delenv(name, raising=False)
    with web() as server:
        server.folder = tmp_path
        yield server


ELSEWHERE = """
import urllib.error, urllib.request
try: print(urllib.request.urlopen('http://elsewhere.test:PORT/size/1').status)
except urllib.error.HTTPError as error: print(error.code)
"""


def installed(engine: DockerEngine, image: str, mirror: Web, command: str) -> tuple[list[str], set[tuple[str, bool]]]:
    """Return what a command prints, and behind it the status of another host; and what was decided of each host."""
    decisions: list[Decision] = []
    out = way_out.make("packages", record=decisions.append, image=image, engine=engine)
    with Sandbox(image, engine=engine, policy=Policy(network="packages", grace=0.5), way_out=out) as box:
        done = [run(box, "shell", command), run(box, "python", ELSEWHERE.replace("PORT", str(mirror.server_port)))]
    return ("".join(each.stdout + each.stderr for each in done).split(),
            {(each.host, each.allowed) for each in decisions})


REACHED = {("mirror.test", True), ("files.test", True), ("elsewhere.test", False)}


def test_pip_installs_from_this_machines_mirror_and_no_other_host_is_reached(
        engine: DockerEngine, mirror: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages.offer_wheel(tmp_path / "simple", f"http://files.test:{mirror.server_port}/files/simple/tiny/")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://mirror.test:{mirror.server_port}/files/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", "mirror.test files.test")
    assert installed(engine, "python", mirror, packages.PIP_PRINTS) == (["1", "403"], REACHED)


def test_npm_installs_from_this_machines_registry_and_no_other_host_is_reached(
        engine: DockerEngine, mirror: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages.offer_npm(tmp_path / "npm", f"http://files.test:{mirror.server_port}/files/npm/")
    monkeypatch.setenv("npm_config_registry", f"http://mirror.test:{mirror.server_port}/files/npm/")
    assert installed(engine, "node", mirror, packages.NPM_PRINTS) == (["22", "403"], REACHED)


def test_a_mirror_is_refused_where_this_machine_is_configured_to_use_another(
        engine: DockerEngine, mirror: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages.offer_wheel(tmp_path / "simple")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://files.test:{mirror.server_port}/files/none")
    index = f"-i http://mirror.test:{mirror.server_port}/files/simple --trusted-host mirror.test"
    assert installed(engine, "python", mirror, f"pip install -q --retries 0 {index} tiny 2>/dev/null || echo refused"
                     ) == (["refused", "403"], {("mirror.test", False), ("elsewhere.test", False)})
    assert not [each for each in mirror.seen if each.startswith("mirror.test")]
