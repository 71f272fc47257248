"""--network full: a bridge of the sandbox's own, fenced off from this machine, and gone with the sandbox."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

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
from tests.support.runs import run

KNOCK = """
import socket
for address in {addresses}:
    s = socket.socket(); s.settimeout(3)
    try:
        s.connect((address, {port})); print(address, 'open')
    except OSError as error:
        print(address, error.errno)
"""


@pytest.fixture(scope="module")
def connected(engine: DockerEngine) -> Iterator[Sandbox]:
    with Sandbox(engine=engine, policy=Policy(network="full", grace=0.5)) as box:
        box.start()
        yield box


def bridges(engine: DockerEngine, box: Sandbox) -> list[BridgeInfo]:
    return list(engine.bridges(f"{LABEL}.session={box.session}"))


def gateway(engine: DockerEngine, name: str) -> str:
    return str(engine.client.inspect_network(name)["IPAM"]["Config"][0]["Gateway"])


def test_this_machine_and_metadata_services_are_out_of_reach(engine: DockerEngine, connected: Sandbox) -> None:
    (bridge,) = bridges(engine, connected)
    addresses = [gateway(engine, bridge.name), "169.254.169.254", *(each.removesuffix("/32") for each in fence._own())]
    with socket.create_server(("0.0.0.0", 0)) as listener:
        code = KNOCK.format(addresses=addresses, port=listener.getsockname()[1])
        said = run(connected, "python", code).stdout.split("\n")
    assert said == [*(f"{address} 13" for address in addresses), ""]  # EACCES, from a route that prohibits


def test_what_is_beyond_this_machine_has_a_route(connected: Sandbox) -> None:
    code = ("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "print(s.connect_ex(('198.51.100.1', 9)))")  # sends nothing; an address of nobody's (RFC 5737)
    assert run(connected, "python", code).stdout == "0\n"


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


def test_this_machines_addresses_are_among_those_that_are_closed() -> None:
    mine = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    assert {f"{address}/32" for address in mine if not str(address).startswith("127.")} <= set(fence.ranges())
    assert {"169.254.0.0/16", "169.254.169.254/32"} <= set(fence.ranges())
