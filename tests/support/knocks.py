"""Every way in which code without privileges can send to an address, and who listens on the engine's machine for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.launch import LABEL

INNER_PORT = 5000
LISTEN = """
import socket, threading
tcp = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
port = tcp.getsockname()[1]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("0.0.0.0", port))
def accept():
    while True:
        connection, whose = tcp.accept()
        print("tcp", whose[0], flush=True)
        connection.close()
threading.Thread(target=accept, daemon=True).start()
print(port, flush=True)
while True:
    data, whose = udp.recvfrom(99)
    print(data.decode(), whose[0], flush=True)
    udp.sendto(b"heard", whose)
"""
KNOCK = """
import socket, struct
from concurrent.futures import ThreadPoolExecutor
PORT, DEVICE = {port}, "eth0"
INDEX = socket.if_nametoindex(DEVICE)
IP = socket.IPPROTO_IP
options = dict(
    plain=[], dontroute=[(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)],
    device=[(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, DEVICE.encode())],
    index=[(socket.SOL_SOCKET, 62, INDEX)],  # SO_BINDTOIFINDEX
    unicast=[(IP, 50, struct.pack("!I", INDEX))],  # IP_UNICAST_IF
    multicast=[(IP, socket.IP_MULTICAST_IF, struct.pack("8xi", INDEX))],
    loose=[(IP, socket.IP_OPTIONS, bytes((131, 7, 4)) + socket.inet_aton({gateway!r}) + bytes(1))],  # source routing
    mark=[(socket.SOL_SOCKET, 36, 1)], service=[(IP, socket.IP_TOS, 16)])
options["both"] = options["device"] + options["dontroute"]
def opened(family, kind, protocol, how):
    s = socket.socket(family, kind, protocol)
    s.settimeout(2)
    if kind == socket.SOCK_DGRAM and family == socket.AF_INET:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for option in options[how]:
        s.setsockopt(*option)
    return s
def tcp(address, how):
    opened(socket.AF_INET, socket.SOCK_STREAM, 0, how).connect((address, PORT))
def mapped(address, how):
    opened(socket.AF_INET6, socket.SOCK_STREAM, 0, how).connect(("::ffff:" + address, PORT))
def six(address, how):
    opened(socket.AF_INET6, socket.SOCK_STREAM, 0, how).connect((address, PORT, 0, INDEX))
def udp(address, how):
    s = opened(socket.AF_INET, socket.SOCK_DGRAM, 0, how)
    s.sendto(how.encode(), (address, PORT))
    s.recv(99)
def told(address, how):
    s = opened(socket.AF_INET, socket.SOCK_DGRAM, 0, how)
    s.sendmsg([b"told"], [(IP, socket.IP_PKTINFO, struct.pack("i8x", INDEX))], 0, (address, PORT))
    s.recv(99)
def ping(address, how):
    s = opened(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP, how)
    s.sendto(bytes((8, 0, 0, 0, 0, 0, 0, 1)), (address, 0))
    s.recv(99)
def packet(address, how):
    opened(socket.AF_PACKET, socket.SOCK_DGRAM, 0, how)
def raw(address, how):
    opened(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW, how)
def knock(way):
    try:
        way[0](*way[1:])
        said = "open"
    except OSError as error:
        said = error.errno or "silence"
    return " ".join((way[1], way[0].__name__, way[2], str(said)))
ways = [(packet, "any", "plain"), (raw, "any", "plain")]
for address in {addresses!r}:
    if ":" in address:
        ways += [(six, address, how) for how in ("plain", "device", "both")]
    else:
        ways += [(do, address, how) for how in options for do in (tcp, mapped, udp, told, ping)]
with ThreadPoolExecutor(64) as pool:
    print("\\n".join(pool.map(knock, ways)))
"""


@dataclass(frozen=True)
class Listener:
    """Who listens at every address of the engine's machine, over TCP and UDP: at which port, and what it has heard."""

    engine: DockerEngine
    id: str

    @property
    def lines(self) -> list[str]:
        """Return the port, then whatever has come: what was sent, and from where."""
        return bytes(self.engine.client.logs(self.id)).decode().split("\n")[:-1]

    @property
    def port(self) -> int:
        """Return the port, once it listens."""
        give_up = time.monotonic() + 30
        while not self.lines and time.monotonic() < give_up:
            time.sleep(0.05)
        return int(self.lines[0])


    @property
    def published(self) -> int:
        """Return the port of the machine that leads to a listener's in a network of its own."""
        (ports,) = self.engine.client.inspect_container(self.id)["NetworkSettings"]["Ports"].values()
        return int(ports[0]["HostPort"])


@contextmanager
def listener(engine: DockerEngine, network: str = "host") -> Iterator[Listener]:
    """Give a listener on the engine's machine, whichever that is, or in a network with its port published."""
    if network == "host":
        created = _create(engine, LISTEN, network)
    else:
        created = _create(engine, LISTEN.replace('"::", 0', f'"::", {INNER_PORT}'), network,
                          PortBindings={f"{INNER_PORT}/tcp": [{"HostPort": ""}]})
    try:
        engine.client.start(created)
        yield Listener(engine, created)
    finally:
        engine.client.remove_container(created, force=True)


def machine_file(engine: DockerEngine, path: str) -> str:
    """Return a file of /proc/net as it is on the engine's machine."""
    created = _create(engine, f"print(open({path!r}).read())", "host")
    try:
        engine.client.start(created)
        engine.client.wait(created)
        return bytes(engine.client.logs(created)).decode()
    finally:
        engine.client.remove_container(created, force=True)


def link_local(engine: DockerEngine, interface: str) -> list[str]:
    """Return the IPv6 addresses that an interface of the engine's machine has."""
    lines = machine_file(engine, "/proc/net/if_inet6").split("\n")
    return [str(IPv6Address(bytes.fromhex(line[:32]))) for line in lines if line.endswith(f" {interface}")]


def _create(engine: DockerEngine, code: str, network: str, **host: Any) -> str:
    # gVisor, where that is what runs a container that asks for none, is not on the machine's network.
    runtime = {"Runtime": "runc"} if engine.info().name == "docker" else {}
    created: Any = engine.client.create_container_from_config({  # type: ignore[no-untyped-call]  # SDK
        "Image": index.resolve("base"), "Entrypoint": [], "Cmd": ["python3", "-I", "-c", code],
        "Labels": {f"{LABEL}.test": "listener"},
        "ExposedPorts": {port: {} for port in host.get("PortBindings", {})},
        "HostConfig": {"NetworkMode": network, "LogConfig": {"Type": "json-file", "Config": {}}, **runtime, **host}})
    return str(created["Id"])


def knock(addresses: Sequence[str], *, port: int, gateway: str) -> str:
    """Return Python code that prints, of each address and way, ``open``, ``silence`` or the number of an error."""
    return KNOCK.format(addresses=list(addresses), port=port, gateway=gateway)
