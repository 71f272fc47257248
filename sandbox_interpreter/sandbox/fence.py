"""What a sandbox with the network ``full`` is kept away from all the same: the machine, metadata, other sandboxes.

It is done twice. Outside, the engine's machine drops what comes from a sandbox's bridge for itself, whichever address
of its is meant and since when it has it. Inside, routes prohibit the addresses that are known: they refuse at once, in
place of silence, and reach further than the engine's machine. They hold no hostile code by themselves: the kernel takes
for a neighbour whatever a socket bound to an interface is sent to, where routes prohibit it (ip_route_output_key).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path

from sandbox_interpreter.engines.base import BRIDGE_INTERFACE, Fence
from sandbox_interpreter.sandbox import nftables
from sandbox_interpreter.sandbox.addresses import METADATA
from sandbox_interpreter.sandbox.owner import owner_label
from sandbox_interpreter.version import VERSION

INSIDE = """
import socket, struct, sys
PROHIBIT, MAIN, STATIC = 8, 254, 4  # rtnetlink(7): RTN_PROHIBIT, RT_TABLE_MAIN, RTPROT_STATIC
NOWHERE = 255  # RT_SCOPE_NOWHERE: a wider one is passed over by sockets that take no gateway (SO_DONTROUTE)
NEW_ROUTE, FLAGS = 24, 0x505  # RTM_NEWROUTE; NLM_F_REQUEST, ACK, CREATE, REPLACE
EXISTS = 17
def close(range):
    address, _, bits = range.partition("/")
    body = struct.pack("BBBBBBBBI", socket.AF_INET, int(bits), 0, 0, MAIN, STATIC, NOWHERE, PROHIBIT, 0)
    body += struct.pack("HH", 8, 1) + socket.inet_aton(address)
    link.send(struct.pack("IHHII", 16 + len(body), NEW_ROUTE, FLAGS, 1, 0) + body)
    error = -struct.unpack("i", link.recv(4096)[16:20])[0]
    if error not in (0, EXISTS):
        sys.exit("%s: error %d" % (range, error))
link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
link.bind((0, 0))
routes = [line.split() for line in open("/proc/net/route")][1:]
gateways = {socket.inet_ntoa(struct.pack("=I", int(route[2], 16))) + "/32" for route in routes if int(route[2], 16)}
for range in sorted(gateways | set(sys.argv[1:])):
    close(range)
"""
"""Run beside the sandbox, with the ranges to close as arguments; the gateway, which is this machine, is closed as well.
What is forwarded through it goes on: a route's gateway was looked up when the route was made."""

OUTSIDE = """
import os, socket, struct, sys
link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
link.settimeout(10)
link.bind((0, 0))
link.send(bytes.fromhex(sys.argv[1]))
left = int(sys.argv[2])
while left > 0:
    data = link.recv(65536)
    while data:
        error = -struct.unpack("i", data[16:20])[0]
        if error:
            sys.exit("the packet filter of the engine's machine (nf_tables): " + os.strerror(error))
        data, left = data[struct.unpack("I", data[:4])[0]:], left - 1
"""
"""Run in the network of the engine's machine, with rules for its packet filter in hexadecimal digits, and how many
answers there will be."""

TABLE = "sandbox_interpreter"
"""The rules' table. It knows bridges by how their names begin, so it is the same for every sandbox, and stays."""

_LINK_LOCAL = "169.254.0.0/16"
_TRIE = Path("/proc/net/fib_trie")
_LOCAL = re.compile(r"\|-- (\d+[.]\d+[.]\d+[.]\d+)\n\s+/32 host LOCAL")
_LOOPBACK = "127."


def fence() -> Fence:
    """Return what closes the ways that ``full`` leaves open. It runs in the smallest image of our own.

    Its container has an owner, like a sandbox: the reaper finds it where the engine, or sbi, went before it did.
    """
    from sandbox_interpreter.catalogue import index

    rules, answers = _rules()
    return Fence(index.resolve("base"), outside=("python3", "-I", "-c", OUTSIDE, rules.hex(), str(answers)),
                 inside=("python3", "-I", "-c", INSIDE, *ranges()),
                 labels={"org.sandbox-interpreter": VERSION, "org.sandbox-interpreter.owner": owner_label()})


def _rules() -> tuple[bytes, int]:
    """Return what closes, for all bridges: the machine itself, metadata services beyond it, and other bridges.

    It takes nothing but nf_tables itself: kernels of Docker's and WSL's virtual machines lack what asks for routes or
    connections (NFT_FIB, NFT_CT).
    """
    comes, drop = nftables.comes_from(BRIDGE_INTERFACE), nftables.drop()
    beyond = [nftables.is_for(IPv4Network(each)) for each in (_LINK_LOCAL, *METADATA)]
    return nftables.table(TABLE, {
        nftables.INPUT: [[comes, drop]],
        nftables.FORWARD: [[comes, where, drop] for where in (nftables.goes_to(BRIDGE_INTERFACE), *beyond)]})


def ranges() -> list[str]:
    """Return the ranges of addresses to close: link-local ones, metadata services, and this machine's own.

    This machine's are those of where sbi runs; the engine's own machine, if that is another, is closed at its gateway.
    """
    return sorted({_LINK_LOCAL, *METADATA, *_own()})


def _own() -> list[str]:
    try:
        text = _TRIE.read_text("ascii", "replace")
    except OSError:
        return []  # not Linux: the engine runs in a machine of its own, whose gateway is closed
    return [f"{address}/32" for address in _LOCAL.findall(text) if not address.startswith(_LOOPBACK)]
