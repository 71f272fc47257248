"""--network full: a bridge of the sandbox's own, fenced off from this machine, and gone with the sandbox."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox_interpreter.engines import docker_bridge
from sandbox_interpreter.engines.base import BridgeInfo
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import ChannelError
from sandbox_interpreter.sandbox import fence
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.owner import owner_label
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox
from sandbox_interpreter.sessions import reaper
from tests.support.engine_root import Unavailable, cabled
from tests.support.knocks import LISTEN, knock, link_local, listener, machine_file
from tests.support.runs import run


@pytest.fixture(scope="module")
def connected(engine: DockerEngine) -> Iterator[Sandbox]:
    with Sandbox(engine=engine, policy=Policy(network="full", grace=0.5)) as box:
        box.start()
        yield box


def bridges(engine: DockerEngine, box: Sandbox) -> list[BridgeInfo]:
    return list(engine.bridges(f"{LABEL}.session={box.session}"))


def gateway(engine: DockerEngine, box: Sandbox) -> str:
    (bridge,) = bridges(engine, box)
    return str(engine.client.inspect_network(bridge.name)["IPAM"]["Config"][0]["Gateway"])


def machines_own(engine: DockerEngine) -> set[str]:
    """Return the addresses of the engine's machine, whichever that is."""
    return {each for each in fence._LOCAL.findall(machine_file(engine, "/proc/net/fib_trie"))
            if not each.startswith("127.")}


def knocked(engine: DockerEngine, box: Sandbox, addresses: Iterable[str], port: int) -> list[str]:
    """Return what became of every way to these addresses, none of which may be open."""
    wanted = sorted(addresses)
    said = run(box, "python", knock(wanted, port=port, gateway=gateway(engine, box))).stdout.splitlines()
    assert {line.split()[0] for line in said} == {"any", *wanted}  # they were tried
    assert [line for line in said if line.endswith("open")] == []
    return said


def address(box: Sandbox) -> str:
    code = "import socket; print(socket.gethostbyname(socket.gethostname()))"
    return run(box, "python", code).stdout.strip()


def test_this_machine_and_metadata_services_are_out_of_reach(engine: DockerEngine, connected: Sandbox) -> None:
    known = {gateway(engine, connected), "169.254.169.254", *(each.removesuffix("/32") for each in fence._own())}
    with listener(engine) as heard:
        said = knocked(engine, connected, known | machines_own(engine), heard.port)
        assert heard.lines[1:] == []
    refused = {f"{address} {way} 13" for address in known  # EACCES, from a route that prohibits
               for way in ("tcp plain", "tcp dontroute", "mapped plain", "udp plain", "udp dontroute", "ping plain")}
    assert refused <= {*said}


def test_this_machine_is_out_of_reach_where_no_route_is_heeded(engine: DockerEngine,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    made = replace(fence.fence(), inside=("true",))  # as under gVisor, which has a network of its own making
    monkeypatch.setattr(fence, "fence", lambda: made)
    with Sandbox(engine=engine, policy=Policy(network="full", grace=0.5)) as box, listener(engine) as heard:
        box.start()
        knocked(engine, box, machines_own(engine), heard.port)
        assert heard.lines[1:] == []


def test_neither_broadcast_nor_multicast_nor_ipv6_leads_to_this_machine(engine: DockerEngine,
                                                                       connected: Sandbox) -> None:
    inside = run(connected, "shell", "cat /proc/net/if_inet6").stdout.splitlines()
    assert [line for line in inside if not line.endswith(" lo") and not line.startswith("fe80")] == []
    (bridge,) = bridges(engine, connected)
    bridges_own = link_local(engine, docker_bridge.interface(bridge.name))
    network = ipaddress.ip_network(engine.client.inspect_network(bridge.name)["IPAM"]["Config"][0]["Subnet"])
    with listener(engine) as heard:
        knocked(engine, connected, ["255.255.255.255", str(network.broadcast_address), "224.0.0.1", *bridges_own],
                heard.port)
        assert heard.lines[1:] == []


SERVE = """
import socket
tcp = socket.create_server(("0.0.0.0", {0}))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", {0}))
udp.setblocking(False)
print("listens")
"""
HEARD = """
try:
    print(udp.recvfrom(99))
except BlockingIOError:
    print("nothing")
"""


def test_what_this_machine_gets_later_and_another_sandbox_are_out_of_reach(engine: DockerEngine,
                                                                          connected: Sandbox) -> None:
    with Sandbox(engine=engine, policy=Policy(network="full", grace=0.5)) as later, listener(engine) as heard:
        assert run(later, "python", SERVE.format(heard.port)).stdout == "listens\n"
        knocked(engine, connected, [gateway(engine, later), address(later)], heard.port)
        assert heard.lines[1:] == []
        assert run(later, "python", HEARD).stdout == "nothing\n"


def test_what_another_container_publishes_is_out_of_reach(engine: DockerEngine, connected: Sandbox) -> None:
    with listener(engine, "bridge") as other:
        assert other.port  # it listens
        knocked(engine, connected, machines_own(engine), other.published)
        assert other.lines[1:] == []


@pytest.fixture
def beyond(engine: DockerEngine, connected: Sandbox) -> Iterator[tuple[str, int]]:
    """Give the address and port of who listens on another machine, as it were, at the other end of a cable."""
    (bridge,) = bridges(engine, connected)
    if not Path("/sys/class/net", docker_bridge.interface(bridge.name)).exists():
        pytest.skip("the engine is in a network of its own, where the cable does not lead")
    try:
        with cabled() as network:
            words = ["nsenter", f"--net=/proc/{network.pid}/ns/net", sys.executable, "-c", LISTEN]
            with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as listens:
                try:
                    assert listens.stdout
                    yield network.address, int(listens.stdout.readline())
                finally:
                    listens.terminate()
    except Unavailable as reason:
        pytest.skip(str(reason))


REACH = "import socket; s = socket.socket(); s.settimeout(3); print(s.connect_ex({}))"


def test_what_is_beyond_this_machine_is_reached(connected: Sandbox, beyond: tuple[str, int]) -> None:
    assert run(connected, "python", REACH.format(beyond)).stdout == "0\n"


def test_a_metadata_service_is_closed_outside_too(engine: DockerEngine, beyond: tuple[str, int],
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "METADATA", (f"{beyond[0]}/32",))
    made = replace(fence.fence(), inside=("true",))
    monkeypatch.setattr(fence, "fence", lambda: made)
    with Sandbox(engine=engine, policy=Policy(network="full", grace=0.5)) as box:
        assert run(box, "python", REACH.format(beyond)).stdout == "11\n"  # EAGAIN: silence


def test_the_name_server_that_code_is_told_of_is_not_behind_the_fence(engine: DockerEngine, connected: Sandbox) -> None:
    told = run(connected, "shell", "cat /etc/resolv.conf").stdout.split()
    assert "nameserver" in told
    assert gateway(engine, connected) not in told  # where Podman's own would be


def test_code_cannot_take_the_fence_down(connected: Sandbox) -> None:
    code = """
import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
body = struct.pack('BBBBBBBBIHH', socket.AF_INET, 16, 0, 0, 254, 4, 0, 8, 0, 8, 1) + bytes((169, 254, 0, 0))
s.send(struct.pack('IHHII', 16 + len(body), 25, 5, 1, 0) + body)  # RTM_DELROUTE
print(-struct.unpack('i', s.recv(4096)[16:20])[0])
"""
    assert run(connected, "python", code).stdout in ("1\n", "13\n")  # EPERM; gVisor says EACCES


def test_the_bridge_is_labelled_private_and_gone_with_its_sandbox(engine: DockerEngine) -> None:
    with Sandbox(engine=engine, policy=Policy(network="full")) as box:
        box.start()
        (bridge,) = bridges(engine, box)
        assert bridge.used
        assert bridge.labels[f"{LABEL}.owner"] == owner_label()
        found = engine.client.inspect_network(bridge.name)
        assert (found["EnableIPv6"], found["Attachable"], len(found["Containers"])) == (False, False, 1)
        box.close(wait=False)
        assert bridges(engine, box) == []


def test_a_bridge_whose_owner_was_killed_is_removed_by_the_reaper(engine: DockerEngine) -> None:
    boot, _, _, *place = owner_label().split("/")
    dead = "/".join((boot, "4194304", "1", *place))
    docker_bridge.make(engine.client, "sbi-egresstest-dead", {LABEL: "x", f"{LABEL}.owner": dead})
    docker_bridge.make(engine.client, "sbi-egresstest-live", {LABEL: "x", f"{LABEL}.owner": owner_label()})
    try:
        reaper.prune(engine, resumable=False)
        names = {each.name for each in engine.bridges(LABEL)}
        assert "sbi-egresstest-dead" not in names
        assert "sbi-egresstest-live" in names
    finally:
        for name in ("sbi-egresstest-dead", "sbi-egresstest-live"):
            engine.remove_bridge(name)


def test_a_sandbox_that_cannot_be_fenced_does_not_run(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = replace(fence.fence(), image="sbi-egresstest-absent")
    monkeypatch.setattr(fence, "fence", lambda: made)
    box = Sandbox(engine=engine, policy=Policy(network="full"))
    with box, pytest.raises(ChannelError, match="keeps a sandbox with a network away") as caught:
        box.start()
    assert caught.value.next_step == "Build it: sbi images build base"
    assert bridges(engine, box) == []


def test_a_sandbox_whose_ways_cannot_be_closed_does_not_run(engine: DockerEngine,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    made = replace(fence.fence(), outside=("sh", "-c", "echo refused >&2; exit 1"))
    monkeypatch.setattr(fence, "fence", lambda: made)
    box = Sandbox(engine=engine, policy=Policy(network="full"))
    with box, pytest.raises(ChannelError, match="could not be closed: refused"):
        box.start()
    assert bridges(engine, box) == []


def test_this_machines_addresses_are_among_those_that_are_closed() -> None:
    mine = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    assert {f"{address}/32" for address in mine if not str(address).startswith("127.")} <= set(fence.ranges())
    assert {"169.254.0.0/16", "169.254.169.254/32"} <= set(fence.ranges())
