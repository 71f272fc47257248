"""The setting ``network``: its grammar, and which of two values allows less. Data only; sandbox/ carries it out.

``none`` and ``full`` stand alone. Anything else is a list, separated by commas, of what may be reached: ``packages``,
``ask``, and hosts: a name, ``*.suffix``, an address, or a range of addresses, each with ``:PORT`` where only one is
meant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from sandbox_interpreter.values import said

if TYPE_CHECKING:  # it is imported where a host is meant; most starts have none, and need not pay for it
    import ipaddress

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address
    Range = ipaddress.IPv4Network | ipaddress.IPv6Network

NONE, FULL, PACKAGES, ASK = WORDS = ("none", "full", "packages", "ask")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")  # RFC 1123, and the underscore that people use
_MOST_NAME = 253
"""Characters of a host name (RFC 1035, 2.3.4, less its first length and the root)."""
_MOST_ITEMS = 1000
_EXAMPLE = "example.com, *.example.com, example.com:443, 10.1.2.3 and 10.0.0.0/8"
_TYPO = 0.6
"""How near a word is to one of ours that it is taken for it (difflib's ratio): ``pakages``, ``non``."""


class Host(NamedTuple):
    """One entry of a list: a name, all names below one, or a range of addresses; and a port, None for every one."""

    name: str = ""
    below: bool = False
    """Whether it stands for every name below ``name``, and not for itself."""
    range: Range | None = None
    port: int | None = None

    def covers(self, host: str, port: int) -> bool:
        """Tell whether the entry allows a host, as ``plain_host`` returns it, at a port."""
        return self.port in (None, port) and self.mentions(host)

    def mentions(self, host: str) -> bool:
        """Tell whether the entry allows a host, as ``plain_host`` returns it, at any port."""
        if self.range is not None:
            address = as_address(host)
            return address is not None and address in self.range
        return host.endswith("." + self.name) if self.below else host == self.name

    def contains(self, other: Host) -> bool:
        """Tell whether all that ``other`` allows is allowed by this one too."""
        if self.port not in (None, other.port):
            return False
        if self.range is not None or other.range is not None:
            return self.range is not None and other.range is not None and _within(other.range, self.range)
        if self.below:
            return other.name.endswith("." + self.name) or (other.below and other.name == self.name)
        return not other.below and other.name == self.name


class Network(NamedTuple):
    """What a value of the setting means."""

    full: bool = False
    packages: bool = False
    ask: bool = False
    hosts: tuple[Host, ...] = ()

    @property
    def is_relayed(self) -> bool:
        """Tell whether something, but not everything, can be reached: connection by connection, through the host."""
        return self.packages or self.ask or bool(self.hosts)


def parse(text: str) -> Network:
    """Return what ``text`` means. Raises ValueError that says which part of it is wrong, and what may be meant."""
    items = [item.strip().lower() for item in text.split(",")]
    if len(items) > _MOST_ITEMS:
        raise ValueError(f"{len(items)} entries are too many; the most is {_MOST_ITEMS}")
    if len(items) > 1 and (alone := {NONE, FULL}.intersection(items)):
        raise ValueError(f"{min(alone)!r} stands alone, not in a list")
    hosts = [_host(item) for item in items if item not in WORDS]
    return Network(FULL in items, PACKAGES in items, ASK in items, tuple(dict.fromkeys(hosts)))


def narrows(value: str, other: str) -> bool:
    """Tell whether everything that ``value`` lets code reach is allowed by ``other``, on the same terms."""
    wanted, allowed = parse(value), parse(other)
    if allowed.full or value == other:
        return True
    return not wanted.full and wanted.packages <= allowed.packages and wanted.ask <= allowed.ask and all(
        any(each.contains(host) for each in allowed.hosts) for host in wanted.hosts)


def plain_host(text: str) -> str | None:
    """Return a host as it is compared: in lower case, ASCII, without brackets or a last dot; None if it is no host.

    What a resolver would read as an address but is not written as one (``127.1``, ``0x7f000001``) is no host.
    """
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if (address := as_address(inner)) is not None:
        return str(address) if inner is text or address.version == 6 else None
    name = inner.lower().removesuffix(".") if inner is text else ""
    try:
        name = name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return None
    labels = name.split(".")
    if len(name) > _MOST_NAME or not all(map(_LABEL.fullmatch, labels)) or _is_number(labels[-1]):
        return None
    return name


def as_address(text: str) -> Address | None:
    """Return the address that ``text`` is; None for a name, and for an address that is bound to an interface."""
    import ipaddress

    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def shown(host: str, port: int) -> str:
    """Return a destination as people write it, and as the setting takes it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _host(item: str) -> Host:
    """Return the entry that ``item``, in lower case, is. Raises ValueError."""
    host, port = _split(item)
    below = host.startswith("*.")
    span = None if below else _range(host)
    name = plain_host(host[2:] if below else host)
    if span is not None:
        return Host(range=span, port=port)
    if host == "*":
        raise ValueError("'*' would allow every host; that is full")
    if name is None or (below and as_address(name)):
        raise ValueError(f"{said(item)} is not a host; write it like {_EXAMPLE}")
    if port is None and "." not in name and ":" not in name and name != "localhost":
        raise ValueError(f"{said(item)} is not possible; what is: none, full, packages, ask, and hosts like "
                         f"{_EXAMPLE}{_meant(name)}")
    return Host(name, below, port=port)


def _split(item: str) -> tuple[str, int | None]:
    """Return host and port; a port that is left out is None. Raises ValueError."""
    if as_address(item) or "/" in item.partition("]")[0]:
        return item, None  # the colons are an address's own
    host, colon, port = item.rpartition(":")
    if not colon or item.endswith("]"):
        return item, None
    if not port.isascii() or not port.isdecimal() or not 0 < int(port[:6]) < 2**16:
        raise ValueError(f"{said(item)}: {said(port)} is not a port; the least is 1, the most {2**16 - 1}")
    return host, int(port)


def _range(host: str) -> Range | None:
    inner = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if "%" in inner:
        return None
    import ipaddress

    try:
        return ipaddress.ip_network(inner)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f"{host!r} is not a range: {ipaddress.ip_network(inner, strict=False)} is") from None
        return None


def _within(inner: Range, outer: Range) -> bool:
    return inner.version == outer.version and inner[0] in outer and inner[-1] in outer


def _is_number(label: str) -> bool:
    """Tell whether a resolver could take the last label for a part of an IPv4 address (WHATWG URL, 3.5)."""
    return re.fullmatch(r"[0-9]+|0x[0-9a-f]*", label) is not None


def _meant(name: str) -> str:
    import difflib  # only where a word stands alone

    near = difflib.get_close_matches(name, WORDS, n=1, cutoff=_TYPO)
    return f"; did you mean {near[0]!r}" if near else ""
