"""Judges each connection that code asks for, and opens those that the policy allows: to the address that was judged.

A name is allowed by its entry in the setting, by ``packages``, or by the person who is asked. It is then resolved once,
and what it resolves to is judged as well: an address that is not of the public internet needs an entry of its own,
since whoever listed a name has not said where it may lead. The socket is connected to that very address, so no second
resolution can lead elsewhere; and since each connection comes here, neither can a redirect.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox_interpreter.network import Network, as_address, parse, plain_host, shown
from sandbox_interpreter.sandbox.addresses import judged, kind_of
from sandbox_interpreter.sandbox.consent import Consent, Verdict
from sandbox_interpreter.sandbox.packages import Packages

if TYPE_CHECKING:
    from sandbox_interpreter.network import Address

DIAL_SECONDS = 10.0
"""Seconds that one address has to answer."""
_MOST_ADDRESSES = 8
"""Of one name; dialled one after the other until one answers."""
_MOST_SHOWN = 100
"""Characters of a host that is none, in what is said of it."""

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a name, as texts. Raises OSError."""
Record = Callable[["Decision"], object]


@dataclass(frozen=True)
class Decision:
    """What was decided about one connection, for the session's log.

    ``rule`` is what allowed or refused it; ``address`` where it was connected to; ``error`` why that failed.
    """

    host: str
    port: int
    allowed: bool
    rule: str
    address: str = ""
    error: str = ""


class Refused(Exception):
    """A connection that is not opened; what its client is answered: status, reason phrase, and body of the answer."""

    def __init__(self, status: int, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.status = status
        # It becomes a line of HTTP, whatever an error of the system or a name put into it.
        line = " ".join(reason.split())
        self.reason = "".join(each if each.isascii() and each.isprintable() else "?" for each in line)
        self.body = f"{self.reason}.\n{advice}\n".encode()


def resolve(name: str, port: int) -> list[str]:
    """Return the addresses of a name as this machine resolves it. Raises OSError."""
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Gate:
    """Judges and dials for one sandbox. Thread-safe; ``connect`` waits for resolvers, servers, and people.

    ``network`` is the setting of that name. ``consent`` asks the person, ``packages`` knows the hosts of the package
    managers; ``record`` is told every decision.
    """

    def __init__(self, network: str, *, consent: Consent | None = None, packages: Packages | None = None,
                 record: Record | None = None, resolve: Resolve = resolve) -> None:
        self._setting = network
        self._network: Network = parse(network)
        self._consent = consent or Consent()
        self._packages = packages or Packages()
        self._record = record or (lambda _: None)
        self._resolve = resolve

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection to ``host`` as the code wrote it. Raises Refused."""
        name = plain_host(host)
        if name is None or not 0 < port < 2**16:
            raise self._refuse(ascii(host[:_MOST_SHOWN]), port, "is no host and port", "")
        rule = self._rule_for(name, port)
        addresses = self._addresses(name, port)
        allowed = [address for address in addresses if self._may_dial(name, address, port)]
        if not allowed:
            kind = kind_of(addresses[0]) or "no address"
            raise self._refuse(name, port, f"leads to {addresses[0]}, {kind} that is not listed itself",
                               shown(str(addresses[0]), port))
        return self._dial(name, port, rule, allowed)

    # --- by name ---

    def _rule_for(self, name: str, port: int) -> str:
        """Return what allows a host at a port. Raises Refused."""
        for entry in self._network.hosts:
            if entry.covers(name, port):
                return f"network: {self._setting}"
        address = as_address(name)
        kind = kind_of(address) if address is not None else None
        if self._network.packages and self._packages.cover(name, port, kind):
            return "network: packages"
        if kind:
            raise self._refuse(name, port, f"is {kind} that is not listed", shown(name, port))
        if self._network.ask:
            verdict = self._consent.ask(name, port)
            if verdict.allows:
                return f"asked: {verdict.value}"
            why = "the user was asked and said no" if verdict is Verdict.NO else verdict.value
            raise self._refuse(name, port, f"is not listed, and {why}", shown(name, port))
        raise self._refuse(name, port, "is not listed", shown(name, port))

    def _refuse(self, name: str, port: int, why: str, entry: str) -> Refused:
        where = shown(name, port)
        self._record(Decision(name, port, allowed=False, rule=why))
        listed = ",".join(each for each in (self._setting, entry) if each != "none")
        advice = f"To allow it, the user adds it to the setting network: --network '{listed}'" if entry else ""
        return Refused(403, f"Forbidden by the sandbox's setting network ({self._setting}): {where} {why}", advice)

    # --- by address ---

    def _addresses(self, name: str, port: int) -> list[Address]:
        literal = as_address(name)
        if literal is not None:
            return [judged(literal)]
        try:
            found = self._resolve(name, port)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self._record(Decision(name, port, allowed=True, rule="resolved by the host", error=reason))
            raise Refused(502, f"{name} cannot be resolved: {reason}") from None
        return [judged(address) for address in map(as_address, found[:_MOST_ADDRESSES]) if address is not None] or [
            ipaddress.IPv4Address(0)]

    def _may_dial(self, name: str, address: Address, port: int) -> bool:
        kind = kind_of(address)
        if kind is None or any(entry.covers(str(address), port) for entry in self._network.hosts):
            return True
        if name == "localhost" and address.is_loopback:  # a name that means these addresses (RFC 6761, 6.3)
            return any(entry.covers(name, port) for entry in self._network.hosts)
        return self._network.packages and self._packages.cover(name, port, kind)

    def _dial(self, name: str, port: int, rule: str, addresses: Sequence[Address]) -> socket.socket:
        error: OSError | None = None
        for address in addresses:
            try:
                connection = _connected(address, port)
            except OSError as failure:
                error = failure
                continue
            self._record(Decision(name, port, allowed=True, rule=rule, address=str(address)))
            return connection
        reason = (error and error.strerror) or str(error)
        self._record(Decision(name, port, allowed=True, rule=rule, address=str(addresses[-1]), error=reason))
        raise Refused(504 if isinstance(error, TimeoutError) else 502, f"{shown(name, port)} does not answer: {reason}")


def _connected(address: Address, port: int) -> socket.socket:
    """Return a socket connected to an address; nothing is resolved here. Raises OSError."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(DIAL_SECONDS)
        connection.connect((str(address), port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a server that is gone without a word
    except BaseException:
        connection.close()
        raise
    return connection

