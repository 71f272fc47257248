"""The setting network: what it takes, what it allows, and which of two values allows less."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_interpreter.network import Network, as_address, narrows, parse, plain_host, shown

LABELS = st.from_regex(r"[a-z][a-z0-9]{0,10}", fullmatch=True)
NAMES = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
PORTS = st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}"))
ITEMS = st.one_of(st.tuples(st.sampled_from(["", "*."]), NAMES, PORTS).map("".join),
                  st.sampled_from(["packages", "ask", "10.0.0.0/8", "10.1.2.3", "10.1.2.3:80", "[::1]:80", "fc00::/7"]))
VALUES = st.one_of(st.sampled_from(["none", "full"]), st.lists(ITEMS, min_size=1, max_size=5).map(",".join))


def reaches(value: str, host: str, port: int) -> bool:
    network = parse(value)
    return network.full or any(each.covers(host, port) for each in network.hosts)


@pytest.mark.parametrize(("value", "expected"), [
    ("none", Network()), ("full", Network(full=True)), ("packages", Network(packages=True)), ("ASK", Network(ask=True)),
    ("packages, ask", Network(packages=True, ask=True)),
])
def test_words_stand_for_what_they_say(value: str, expected: Network) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(("value", "host", "port", "allowed"), [
    ("example.com", "example.com", 443, True),
    ("example.com", "example.com", 8443, True),
    ("example.com", "www.example.com", 443, False),
    ("example.com", "notexample.com", 443, False),
    ("example.com", "example.com.evil.test", 443, False),
    ("Example.COM.", "example.com", 80, True),
    ("*.example.com", "www.example.com", 443, True),
    ("*.example.com", "a.b.example.com", 443, True),
    ("*.example.com", "example.com", 443, False),
    ("*.example.com", "evilexample.com", 443, False),
    ("example.com:8080", "example.com", 8080, True),
    ("example.com:8080", "example.com", 443, False),
    ("*.example.com:443", "a.example.com", 80, False),
    ("10.1.2.3", "10.1.2.3", 80, True),
    ("10.0.0.0/8", "10.9.9.9", 80, True),
    ("10.0.0.0/8", "11.0.0.1", 80, False),
    ("10.0.0.0/8", "10.example.com", 80, False),
    ("[::1]:8000", "::1", 8000, True),
    ("[::1]:8000", "::1", 8001, False),
    ("fd00::5", "fd00::5", 1, True),
    ("localhost", "localhost", 1, True),
    ("nas:445", "nas", 445, True),
    ("bücher.example", "xn--bcher-kva.example", 443, True),
])
def test_an_entry_allows_exactly_what_it_says(value: str, host: str, port: int, allowed: bool) -> None:
    assert reaches(value, host, port) is allowed


@pytest.mark.parametrize(("value", "reason"), [
    ("pakages", "did you mean 'packages'"),
    ("ful", "did you mean 'full'"),
    ("some", "'some' is not possible; what is: none, full, packages, ask, and hosts like example.com"),
    ("none,example.com", "'none' stands alone"),
    ("example.com,full", "'full' stands alone"),
    ("", "'' is not a host"),
    ("a.com,,b.com", "'' is not a host"),
    ("*", "that is full"),
    ("*.*.com", "is not a host"),
    ("a.*.com", "is not a host"),
    ("*.10.0.0.1", "is not a host"),
    ("http://example.com", "is not a host"),
    ("https://example.com/path", "is not a host"),
    ("example.com:0", "'0' is not a port"),
    ("example.com:65536", "'65536' is not a port"),
    ("example.com:http", "'http' is not a port"),
    ("exa mple.com", "is not a host"),
    ("127.1", "is not a host"),
    ("0x7f000001:80", "is not a host"),
    ("2130706433:80", "is not a host"),
    ("10.0.0.5/8", "10.0.0.0/8 is"),
    ("fe80::1%eth0", "is not a"),
    ("-a.com", "is not a host"),
    ("a" * 64 + ".com", "is not a host"),
    (",".join(["a.com"] * 1001), "too many"),
])
def test_a_malformed_value_is_refused_with_what_may_be_meant(value: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse(value)


@pytest.mark.parametrize(("value", "other", "allowed"), [
    ("none", "none", True), ("none", "example.com", True), ("none", "full", True), ("full", "full", True),
    ("full", "example.com", False), ("example.com", "none", False), ("example.com", "full", True),
    ("ask", "none", False), ("ask", "full", True), ("ask", "example.com", False), ("example.com", "ask", False),
    ("packages", "full", True), ("packages", "example.com", False), ("packages", "packages,example.com", True),
    ("example.com", "packages", False), ("a.com", "a.com,b.com", True), ("a.com,c.com", "a.com,b.com", False),
    ("a.com:443", "a.com", True), ("a.com", "a.com:443", False), ("x.a.com", "*.a.com", True),
    ("*.x.a.com", "*.a.com", True), ("*.a.com", "x.a.com", False), ("a.com", "*.a.com", False),
    ("10.1.0.0/16", "10.0.0.0/8", True), ("10.0.0.0/8", "10.1.0.0/16", False), ("10.1.2.3:80", "10.0.0.0/8", True),
    ("::1", "10.0.0.0/8", False), ("*.0.com", "0.0.0.0/0", False),
])
def test_narrower_is_a_subset_on_the_same_terms(value: str, other: str, allowed: bool) -> None:
    assert narrows(value, other) is allowed


@given(VALUES, VALUES, NAMES, st.integers(1, 65535))
def test_what_is_narrower_reaches_nothing_more(value: str, other: str, host: str, port: int) -> None:
    if narrows(value, other):
        for each in (host, "10.1.2.3", "x." + host):
            assert not reaches(value, each, port) or reaches(other, each, port)


@given(VALUES, VALUES, VALUES)
def test_narrower_is_an_order(one: str, two: str, three: str) -> None:
    assert narrows(one, one)
    assert narrows("none", one)
    assert narrows(one, "full")
    assert not (narrows(one, two) and narrows(two, three)) or narrows(one, three)


@given(st.text(max_size=40))
def test_any_text_is_a_host_that_stays_as_it_is_or_none(text: str) -> None:
    host = plain_host(text)
    if host is not None:
        assert host.isascii()
        assert plain_host(host) == host
        assert not set(host) & set(" \r\n\t/@[]%?#\\\0")


@given(st.ip_addresses(), st.integers(1, 65535))
def test_an_address_is_shown_as_the_setting_takes_it(address: ipaddress.IPv4Address, port: int) -> None:
    assert plain_host(str(address)) == str(address)
    assert as_address(str(address)) == address
    assert reaches(shown(str(address), port), str(address), port)
