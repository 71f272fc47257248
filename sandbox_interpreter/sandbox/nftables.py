"""Rules for the kernel's packet filter, as bytes that it takes at once or not at all.

The form is that of linux/netfilter/nf_tables.h, in the order of bytes of this machine. Programs that write it (nft,
iptables) need not be on an engine's machine, and are not in the image that hands the bytes over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

INPUT, FORWARD = 1, 2
"""Where a chain is asked: of what is for the machine itself, of what goes through it (NF_INET_LOCAL_IN, _FORWARD)."""

Expression = bytes
Rule = Sequence[Expression]
"""What has to hold of a packet, one after the other, and what then becomes of it."""

_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800  # netlink(7)
_SUBSYSTEM, _INET = 10, 1  # NFNL_SUBSYS_NFTABLES, NFPROTO_INET: IPv4 and IPv6
_BEGIN, _END = 0x10, 0x11  # NFNL_MSG_BATCH_*
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = (_SUBSYSTEM << 8 | number for number in (0, 2, 3, 6))
_NESTED = 0x8000
_IN_NAME, _OUT_NAME, _PROTOCOL = 6, 7, 15  # NFT_META_IIFNAME, _OIFNAME, _NFPROTO
_IPV4 = b"\x02"  # NFPROTO_IPV4
_REGISTER = 1
_EQUAL = 0


def comes_from(prefix: str) -> Expression:
    """Match what comes in by an interface whose name begins so."""
    return _meta(_IN_NAME) + _equals(prefix.encode())


def goes_to(prefix: str) -> Expression:
    """Match what goes out by an interface whose name begins so."""
    return _meta(_OUT_NAME) + _equals(prefix.encode())


def is_for(network: IPv4Network) -> Expression:
    """Match what is addressed to that range; no packet of IPv6 is."""
    mask = _value(4, network.netmask.packed)
    masked = [*_numbers(_REGISTER, _REGISTER, 4), mask, _value(5, bytes(4))]
    return b"".join((_meta(_PROTOCOL), _equals(_IPV4),
                     _expression("payload", *_numbers(_REGISTER, 1, 16, 4)),  # NFT_PAYLOAD_NETWORK_HEADER, daddr
                     _expression("bitwise", *masked), _equals(network.network_address.packed)))


def drop() -> Expression:
    """Let it be lost without an answer."""
    verdict = _nest(2, _nest(2, _attribute(1, struct.pack("!i", 0))))  # NFT_DATA_VERDICT of NF_DROP
    return _expression("immediate", *_numbers(0), verdict)


def table(name: str, chains: dict[int, Sequence[Rule]]) -> tuple[bytes, int]:
    """Return what puts a table in place of the one so called, and how many messages are acknowledged."""
    def messages() -> Iterator[bytes]:
        named = _attribute(1, _text(name))
        for kind in (_NEW_TABLE, _DELETE_TABLE, _NEW_TABLE):  # there has to be one to delete
            yield _message(kind, named)
        for hook, rules in chains.items():
            chain = f"hook{hook}"
            place = _nest(4, _attribute(1, struct.pack("!I", hook)), _attribute(2, struct.pack("!i", 0)))
            yield _message(_NEW_CHAIN, named, _attribute(3, _text(chain)), place, _attribute(7, _text("filter")))
            for rule in rules:
                yield _message(_NEW_RULE, named, _attribute(2, _text(chain)), _nest(4, *rule))

    made = list(messages())
    return b"".join((_edge(_BEGIN), *made, _edge(_END))), len(made)


def _message(kind: int, *attributes: bytes) -> bytes:
    body = struct.pack("!BBH", _INET, 0, 0) + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | _ACK | _CREATE | _APPEND, 0, 0) + body


def _edge(kind: int) -> bytes:
    return struct.pack("=IHHII", 20, kind, _REQUEST, 0, 0) + struct.pack("!BBH", 0, 0, _SUBSYSTEM)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _nest(kind: int, *attributes: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(attributes))


def _expression(name: str, *attributes: bytes) -> Expression:
    return _nest(1, _attribute(1, _text(name)), _nest(2, *attributes))


def _numbers(*values: int) -> list[bytes]:
    """Return attributes 1, 2, … with these values."""
    return [_attribute(at, struct.pack("!I", value)) for at, value in enumerate(values, 1)]


def _meta(key: int) -> Expression:
    return _expression("meta", *_numbers(_REGISTER, key))


def _equals(value: bytes) -> Expression:
    return _expression("cmp", *_numbers(_REGISTER, _EQUAL), _value(3, value))


def _value(kind: int, value: bytes) -> bytes:
    return _nest(kind, _attribute(1, value))


def _text(value: str) -> bytes:
    return value.encode() + b"\0"
