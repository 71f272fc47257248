"""Rules for the packet filter are whole messages; that kernels take them, and what they do, is tests/contract's."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Network

from sandbox_interpreter.sandbox import nftables


def parts(data: bytes, head: str) -> Iterator[tuple[int, bytes]]:
    """Yield the kind and content of each message, or attribute: both begin with their length."""
    while data:
        size, kind, *_ = struct.unpack_from(head, data)
        assert struct.calcsize(head) <= size <= len(data)
        yield kind & 0x7FFF, data[struct.calcsize(head):size]
        data = data[size + -size % 4:]


def test_a_table_is_replaced_at_once_and_each_message_between_the_edges_is_answered() -> None:
    rule = [nftables.comes_from("sbi-"), nftables.is_for(IPv4Network("198.51.100.0/24")), nftables.drop()]
    data, answers = nftables.table("t", {nftables.INPUT: [rule[::2]], nftables.FORWARD: [rule, rule]})
    kinds = [kind for kind, _ in parts(data, "=IHHII")]
    made = [kind & 0xFF for kind in kinds[1:-1]]
    assert (kinds[0], kinds[-1]) == (0x10, 0x11)  # a batch, from its begin to its end
    assert made == [0, 2, 0, 3, 6, 3, 6, 6]  # the table new, deleted, new; chains, each with its rules
    assert answers == len(made)


def test_a_rule_asks_for_name_and_range_and_then_drops() -> None:
    rule = nftables.comes_from("sbi-") + nftables.is_for(IPv4Network("198.51.100.0/24")) + nftables.drop()
    names = [dict(parts(expression, "=HH"))[1] for _, expression in parts(rule, "=HH")]
    assert names == [b"meta\0", b"cmp\0", b"meta\0", b"cmp\0", b"payload\0", b"bitwise\0", b"cmp\0", b"immediate\0"]
    for part in (b"sbi-", bytes((255, 255, 255, 0)), bytes((198, 51, 100, 0))):
        assert part in rule
