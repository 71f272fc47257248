"""An API client of the engine that a setting names, and the SDK's errors as ours."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import docker
import requests.exceptions
from docker.errors import APIError, DockerException, NotFound
from docker.tls import TLSConfig
from docker.utils import kwargs_from_env

from sandbox_interpreter.engines.address import Context, address_of, context_of
from sandbox_interpreter.engines.docker_watch import WatchingClient
from sandbox_interpreter.engines.ssh_forward import SshForward
from sandbox_interpreter.errors import EngineError, EngineUnreachable

T = TypeVar("T")

# No single answer of a healthy engine takes longer; without a bound a hung engine would hang the terminal.
ANSWER_SECONDS = 60
PING_SECONDS = 10
OLDEST_API = "1.41"  # Docker Engine 20.10


@dataclass(frozen=True)
class Connection:
    """A client that speaks the engine's own API version, and what the engine is: docker or podman.

    ``address`` is what was asked for; ``forward`` carries the client to another machine, if it is on one.
    """

    client: docker.APIClient
    name: str
    address: str
    forward: SshForward | None = None

    def close(self) -> None:
        """Let go of the client, and of its way."""
        self.client.close()
        if self.forward:
            self.forward.close()


def connect(setting: str | None = None) -> Connection:
    """Return a connection to the engine that ``setting`` names. Raises EngineUnreachable."""
    address = address_of(setting) or os.environ.get("DOCKER_HOST") or ""
    if not address.startswith("ssh://"):
        return _connected(setting, address)
    forward = SshForward(address)
    try:
        return _connected(setting, address, forward)
    except BaseException:
        forward.close()
        raise


def _options(setting: str | None, address: str) -> dict[str, Any]:
    """Return what leads the SDK there: over TCP with the certificates of the context, or of the environment."""
    if not address.startswith(("tcp://", "https://")):
        return {"base_url": address} if address else {}
    if context := context_of(setting):
        return {"base_url": address, "tls": _certified(context)}
    return dict(kwargs_from_env({**os.environ, "DOCKER_HOST": address}))


def _certified(context: Context) -> TLSConfig | bool:
    """Return what `docker context create` was given for TLS: an authority, and where that is asked for who we are."""
    if context.certificates is None:
        return False
    authority, *own = (context.certificates / name for name in ("ca.pem", "cert.pem", "key.pem"))
    return TLSConfig(client_cert=(str(own[0]), str(own[1])) if own[0].exists() else None,
                     ca_cert=str(authority) if authority.exists() else None, verify=context.verify)


def _connected(setting: str | None, address: str, forward: SshForward | None = None) -> Connection:
    try:
        options = {"base_url": forward.address} if forward else _options(setting, address)
        # A ping tells version and name in 1 ms; the SDK's own way, asking for the version, makes the engine run
        # its runtimes, 6 ms of every cold start.
        probe = _client(options, OLDEST_API)
        with contextlib.closing(probe):
            answer = probe.get(f"{probe.base_url}/_ping", timeout=PING_SECONDS)
        version = answer.headers.get("Api-Version", OLDEST_API)
        name = "podman" if "Libpod-Api-Version" in answer.headers else "docker"
        return Connection(_client(options, version), name, address, forward)
    except (DockerException, requests.exceptions.RequestException, ValueError, OSError) as error:
        why = _short(error, PING_SECONDS)
        raise EngineUnreachable(f"No container engine answers at {address or 'the default socket'}: {why}.",
                                next_step="Start it, or name another with --engine. See: sbi doctor") from None


def _client(options: dict[str, Any], version: str) -> docker.APIClient:
    client = WatchingClient(**options, version=version, timeout=ANSWER_SECONDS)
    if options.get("tls"):
        # requests would put REQUESTS_CA_BUNDLE in the place of the authority that DOCKER_CERT_PATH names.
        client.trust_env = False
    return client


def _short(error: BaseException, waited: float | None = None) -> str:
    """Return what the engine explained, else what the system said at the bottom of the chain, on one line.

    ``waited`` is how many seconds it had to say anything.
    """
    text = getattr(error, "explanation", None) or str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, requests.exceptions.ReadTimeout | TimeoutError):
            return f"it said nothing for {waited or ANSWER_SECONDS} s"
        text = getattr(cause, "strerror", None) or text
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(text).split())[:300].rstrip(".")


def translated(call: Callable[[], T], what: str) -> T:
    """Return what ``call`` returns; SDK errors become ours, with ``what`` was tried. NotFound is the caller's."""
    try:
        return call()
    except NotFound:
        raise
    except APIError as error:
        raise EngineError(f"The engine could not {what}: {_short(error)}.",
                          next_step="What is wrong: sbi doctor") from None
    except (requests.exceptions.RequestException, DockerException, OSError) as error:
        raise EngineUnreachable(f"The engine stopped answering while asked to {what}: {_short(error)}.",
                                next_step="See whether it still runs: sbi doctor") from None
