"""What a sandbox gets whose policy lets something, but not everything, out: the gate, and how its programs find it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sandbox_interpreter.agent.frames import TRUSTED
from sandbox_interpreter.catalogue import certificates
from sandbox_interpreter.catalogue.trust import VARIABLES
from sandbox_interpreter.config import grants
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.network import Network, parse
from sandbox_interpreter.sandbox.consent import Consent, Verdict
from sandbox_interpreter.sandbox.gate import Gate, Record
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.packages import Packages
from sandbox_interpreter.sandbox.policy import Policy, split_access
from sandbox_interpreter.sandbox.questions import Questions

if TYPE_CHECKING:
    from sandbox_interpreter.config import Settings
    from sandbox_interpreter.engines.base import ContainerEngine
    from sandbox_interpreter.sandbox.package_hosts import PackageHosts

PORT = 3128
"""Where the agent's proxy listens; nobody else can be there yet, since the container's loopback is its own."""
_PROBING = Policy(timeout=20.0, output=64 * 1024, access="ro")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HERE = f"http://127.0.0.1:{PORT}"


class WayOut(NamedTuple):
    """The judge of connections, the environment that leads programs to the proxy, and certificates to trust (PEM)."""

    gate: Gate
    variables: Mapping[str, str]
    certificates: bytes = b""
    questions: Questions | None = None
    """Those that come up where people may be asked."""
    port: int = PORT


def of(settings: Settings, *, questions: Questions | None = None, record: Record | None = None) -> WayOut:
    """Return the way out that settings allow whose network is a list. Raises ConfigError.

    What is trusted while images are built is trusted by the code too: a network whose proxies sign for others does so
    for both.
    """
    found = certificates.find(settings.ca_bundle, os.environ)
    made = make(settings.network, consent=_consent(settings, questions), record=record,
                pem=found.pem if found else b"", image=settings.image, engine=settings.engine,
                runtime=settings.runtime)
    return made._replace(questions=questions)


def make(network: str, *, consent: Consent | None = None, record: Record | None = None, pem: bytes = b"",
         image: str = "", engine: ContainerEngine | str | None = None, runtime: str | None = None) -> WayOut:
    """Return the way out that the setting ``network`` allows. Raises ValueError for one that is none.

    ``image``, ``engine`` and ``runtime`` are the sandbox's: whose package managers ``packages`` means.
    """
    packages = _packages(image, engine, runtime, pem) if parse(network).packages else Packages()
    gate = Gate(network, consent=consent, packages=packages, record=record)
    trusted = dict.fromkeys(VARIABLES, TRUSTED) if pem else {}
    return WayOut(gate, {**_proxies(parse(network)), **trusted, **packages.variables()}, pem)


def packages_of(settings: Settings) -> PackageHosts:
    """Return what ``packages`` stands for with these settings. Raises ConfigError."""
    found = certificates.find(settings.ca_bundle, os.environ)
    return _packages(settings.image, settings.engine, settings.runtime, found.pem if found else b"")


def _packages(image: str, engine: ContainerEngine | str | None, runtime: str | None, pem: bytes) -> PackageHosts:
    from sandbox_interpreter.sandbox.package_hosts import PackageHosts

    return PackageHosts(lambda: _asked(image, engine, runtime), pem=pem)


def _consent(settings: Settings, questions: Questions | None) -> Consent:
    """Return the person's word. What was allowed for always holds for the folder that is shared, if any is."""
    project = str(Path(split_access(settings.workspace)[0]).expanduser().resolve()) if settings.workspace else ""
    if questions is None:
        return Consent()
    questions.lasting = bool(project)

    def ask(host: str, port: int) -> Verdict:
        question = questions.ask(host, port, known=lambda: consent.known(host, port))
        consent.allow(question.entries)
        if question.verdict is Verdict.ALWAYS:
            grants.grant(project, host, port)
        return question.verdict

    consent = Consent(ask, granted=lambda host, port: bool(project) and grants.is_granted(project, host, port))
    return consent


def _asked(image: str, engine: ContainerEngine | str | None, runtime: str | None) -> str:
    """Return what an image says of its package managers, asked before any code of the session could change it."""
    from sandbox_interpreter.sandbox.package_hosts import PROBE
    from sandbox_interpreter.sandbox.sandbox import Sandbox, Script

    said = bytearray()
    policy = replace(_PROBING, runtime=runtime)  # its programs are no more to be trusted than the session's
    with suppress(SandboxInterpreterError), Sandbox(image, policy=policy, engine=engine) as box:
        for output in box.execute("shell", PROBE, script=Script("packages")):
            if isinstance(output, Stream) and output.name == "stdout":
                said += output.data
    return said.decode("utf-8", "replace")


def _proxies(network: Network) -> dict[str, str]:
    """Return the variables by which pip, curl, git, npm, browsers and libraries find a proxy: each has its spelling.

    The container's own loopback is reached without it, unless the user listed a name of this machine's.
    """
    direct = [host for host in _LOOPBACK if not any(entry.mentions(host) for entry in network.hosts)]
    found = {"http_proxy": _HERE, "https_proxy": _HERE, "all_proxy": _HERE, "no_proxy": ",".join(direct)}
    # Node's own fetch looks at them from version 24 on, if it is told to.
    return {**found, **{name.upper(): value for name, value in found.items()}, "NODE_USE_ENV_PROXY": "1"}
