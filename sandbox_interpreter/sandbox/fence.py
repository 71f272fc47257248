"""What a sandbox with the network ``full`` is kept away from all the same: this machine's own addresses, and metadata.

It is done by routes that prohibit, in the container's own network, which code there may not change.
"""

from __future__ import annotations

import re
from pathlib import Path

from sandbox_interpreter.engines.base import Fence
from sandbox_interpreter.sandbox.addresses import METADATA
from sandbox_interpreter.version import VERSION

SCRIPT = """
import socket, struct, sys
PROHIBIT, MAIN, STATIC = 8, 254, 4  # rtnetlink(7): RTN_PROHIBIT, RT_TABLE_MAIN, RTPROT_STATIC
NEW_ROUTE, FLAGS = 24, 0x505  # RTM_NEWROUTE; NLM_F_REQUEST, ACK, CREATE, REPLACE
EXISTS = 17
def close(range):
    address, _, bits = range.partition("/")
    body = struct.pack("BBBBBBBBI", socket.AF_INET, int(bits), 0, 0, MAIN, STATIC, 0, PROHIBIT, 0)
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

_LINK_LOCAL = "169.254.0.0/16"
_TRIE = Path("/proc/net/fib_trie")
_LOCAL = re.compile(r"\|-- (\d+[.]\d+[.]\d+[.]\d+)\n\s+/32 host LOCAL")
_LOOPBACK = "127."


def fence() -> Fence:
    """Return what closes the ways that ``full`` leaves open. It runs in the smallest image of our own."""
    from sandbox_interpreter.catalogue import index

    return Fence(index.resolve("base"), ("python3", "-I", "-c", SCRIPT, *ranges()),
                 {"org.sandbox-interpreter": VERSION})


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
