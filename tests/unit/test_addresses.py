"""Addresses that lead inside are known in every form in which they can be written."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.sandbox.addresses import judged, kind_of

INSIDE = {
    "127.0.0.1": "a loopback address", "127.255.255.254": "a loopback address", "0.0.0.0": "an unspecified address",
    "0.1.2.3": "an unspecified address", "10.0.0.1": "a private address", "172.16.0.1": "a private address",
    "172.31.255.255": "a private address", "192.168.1.1": "a private address", "169.254.1.1": "a link-local address",
    "169.254.169.254": "a metadata service", "100.64.0.1": "a carrier's private address",
    "100.100.100.200": "a metadata service", "168.63.129.16": "a metadata service",
    "192.0.0.192": "a metadata service", "224.0.0.1": "a multicast address", "239.255.255.255": "a multicast address",
    "255.255.255.255": "a reserved address", "198.18.0.1": "a reserved address",
}
INSIDE_V6 = {
    "::1": "a loopback address", "::": "an unspecified address", "fe80::1": "a link-local address",
    "fc00::1": "a private address", "fd12:3456::1": "a private address", "fec0::1": "a private address",
    "fd00:ec2::254": "a metadata service", "ff02::1": "a multicast address", "64:ff9b:1::1": "a reserved address",
}
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "11.0.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"]


@pytest.mark.parametrize(("address", "kind"), [*INSIDE.items(), *INSIDE_V6.items()])
def test_what_leads_inside_is_named(address: str, kind: str) -> None:
    assert kind_of(ipaddress.ip_address(address)) == kind


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_no_such_address(address: str) -> None:
    assert kind_of(ipaddress.ip_address(address)) is None


def carriers(address: ipaddress.IPv4Address) -> dict[str, ipaddress.IPv6Address]:
    number = int(address)
    return {name: ipaddress.IPv6Address(value) for name, value in {
        "mapped": 0xFFFF << 32 | number, "nat64": 0x64_FF9B << 96 | number, "6to4": 0x2002 << 112 | number << 80 | 1,
        "teredo": 0x2001 << 112 | 0x0801_0101 << 64 | number ^ 0xFFFF_FFFF,
        "teredo server": 0x2001 << 112 | number << 64, "isatap": 0x2A00 << 112 | 0x5EFE << 32 | number,
    }.items()}


@given(st.sampled_from(sorted(INSIDE)))
def test_an_address_inside_another_is_found(address: str) -> None:
    for name, carrier in carriers(ipaddress.IPv4Address(address)).items():
        assert kind_of(carrier) is not None, (name, carrier)


@given(st.ip_addresses(v=4))
def test_carrying_changes_no_verdict_for_mapped_ones(address: ipaddress.IPv4Address) -> None:
    mapped = carriers(address)["mapped"]
    assert kind_of(mapped) == kind_of(address)
    assert judged(mapped) == address
