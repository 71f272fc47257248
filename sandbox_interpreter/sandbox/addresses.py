"""Which addresses code may not be connected to unless the user listed them: whatever is not the public internet.

The ranges are those of the IANA special-purpose registries (RFC 6890) that lead to this machine, to its networks or to
nowhere, and the metadata services of clouds, of which two have public addresses. Ranges for documentation are not among
them: they lead to nothing that could be harmed. An address that carries another one in it is judged by both.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox_interpreter.network import Address

_KINDS: dict[str, tuple[str, ...]] = {
    "a metadata service": (
        "169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "100.100.100.200/32", "192.0.0.192/32",
        "168.63.129.16/32", "fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128"),
    "a loopback address": ("127.0.0.0/8", "::1/128"),
    "an unspecified address": ("0.0.0.0/8", "::/128"),
    "a link-local address": ("169.254.0.0/16", "fe80::/10"),
    "a private address": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
    "a carrier's private address": ("100.64.0.0/10",),
    "a multicast address": ("224.0.0.0/4", "ff00::/8"),
    "a reserved address": ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b:1::/48",
                           "100::/64", "5f00::/16"),
}
METADATA = tuple(text for text in _KINDS["a metadata service"] if ":" not in text)
"""The metadata services of clouds that have an IPv4 address."""
_FORBIDDEN = [(ipaddress.ip_network(text), kind) for kind, texts in _KINDS.items() for text in texts]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE = ipaddress.ip_network("::/96")
_LAST_32 = 2**32 - 1
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""The third quarter of an address that ends with an IPv4 one (RFC 5214, 6.1)."""


def kind_of(address: Address) -> str | None:
    """Return what an address is that may not be reached ("a private address", …); None for a public one."""
    for each in (*_carried(address), address):
        for network, kind in _FORBIDDEN:
            if each.version == network.version and each in network:
                return kind
    return None


def judged(address: Address) -> Address:
    """Return the address that is meant: an IPv4-mapped one is the IPv4 address that the kernel would dial."""
    return getattr(address, "ipv4_mapped", None) or address


def _carried(address: Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield the IPv4 addresses that an IPv6 address may lead to: mapped, NAT64, 6to4, Teredo, compatible, ISATAP."""
    if isinstance(address, ipaddress.IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    number = int(address)
    if address in _NAT64 or (address in _COMPATIBLE and number > 1) or number >> 32 & _LAST_32 in _ISATAP:
        yield ipaddress.IPv4Address(number & _LAST_32)
