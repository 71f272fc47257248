"""A real Ray cluster on this machine, each of whose nodes has a Docker daemon of its own.

A node has an address of its own on loopback, so that Ray takes it for another machine; its daemon has its own data and
exec roots, socket and network namespace.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.launch import LABEL
from tests.support.own_engine import OwnEngine

IMAGE = "base"
LEAN = str(Path(__file__).with_name("lean"))
# A machine that is busy with its own tests starts Ray's processes slowly.
PATIENT = {"RAY_agent_register_timeout_ms": "120000", "RAY_USAGE_STATS_ENABLED": "0",
           "RAY_AUTH_MODE": "disabled",  # whatever token whoever runs the tests may have
           # One that is dead refuses at once, and is told dead in three seconds; one that is slow has its time.
           "RAY_health_check_failure_threshold": "3", "RAY_health_check_period_ms": "1000",
           "RAY_health_check_timeout_ms": "20000"}
STARTS = 3
"""Attempts at a node: Ray gives its start half a minute, and no more."""


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that nothing listens on."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in found]


class Member:
    """A node of the cluster with its daemon."""

    def __init__(self, number: int, temporary: Path) -> None:
        self.engine = OwnEngine()
        self.address = f"127.0.0.{number + 2}"  # what follows 127.0.0.1, which Ray takes for no address of a node
        self.temporary = temporary / self.address
        self.temporary.mkdir()
        self.node: Any = None

    def containers(self) -> list[str]:
        """Return the names of the containers in its daemon."""
        client = self.engine.client()
        try:
            return [info.name for info in client.list({LABEL: ""})]
        finally:
            client.close()

    def left_behind(self) -> list[str]:
        """Return what is left there of sandboxes: containers, and private folders."""
        return [*self.containers(), *(path.name for path in self.temporary.iterdir() if path.name.startswith("sbi-"))]


class RayCluster:
    """Starts the daemons and the nodes; ``close`` ends all of them."""

    def __init__(self, nodes: int = 3, *, sandboxes: int = 4, begin: int | None = None) -> None:
        """``sandboxes`` is what each node has room for, with one processor each; so many nodes ``begin`` at once."""
        self.folder = Path(tempfile.mkdtemp(prefix="ray-"))
        self._sandboxes = sandboxes
        self.members = [Member(number, self.folder) for number in range(nodes)]
        self._cluster: Any = None
        self.outside = ""
        """Where a driver on a machine outside of it reaches it."""
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(self._furnish, self.members))
            self._start(self.members[:begin])
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """Return where a driver joins it."""
        return str(self._cluster.address)

    def environment(self) -> dict[str, str]:
        """Return the environment of a driver."""
        return {**PATIENT, "PYTHONPATH": LEAN}

    def _furnish(self, member: Member) -> None:
        member.engine.start()
        source = DockerEngine()
        try:
            member.engine.load(index.resolve(IMAGE), source)
        finally:
            source.close()

    def _start(self, members: list[Member]) -> None:
        # Ray notes the newest cluster's address in a folder that it expects to be there, for whoever asks for "auto".
        (self.folder / "ray").mkdir()
        os.environ.update(PATIENT | {"RAY_TMPDIR": str(self.folder)})
        if LEAN not in sys.path:
            sys.path.insert(0, LEAN)
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        for member in members:
            self.add(member)

    def add(self, member: Member, **options: Any) -> None:
        """Start a node for a member."""
        for left in reversed(range(STARTS)):
            try:
                self._add(member, options)
                break
            except Exception as error:  # Ray's own has no type
                if not left or "timed out during startup" not in str(error):
                    raise

    def _add(self, member: Member, options: dict[str, Any]) -> None:
        env = {"DOCKER_HOST": member.engine.address, "TMPDIR": str(member.temporary), "PYTHONPATH": LEAN, **PATIENT,
               "SBI_CONFIG_DIR": str(self.folder / "config"), "SBI_DATA_DIR": str(self.folder / "data")}
        # A node waits 15 s, and no longer, to be told ports that its helpers have chosen, and for these it need not.
        ports = dict(zip(("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port"), free_ports(3),
                         strict=True))
        (client,) = free_ports(1)
        head = {"include_dashboard": False, "no_monitor": True, "temp_dir": str(self.folder / "r"),
                "ray_client_server_port": client}
        first: dict[str, Any] = {} if self._cluster.head_node else head
        if first:
            self.outside = f"ray://{member.address}:{client}"
        wanted = {"num_cpus": self._sandboxes, "resources": {"sbi": self._sandboxes}} | options
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # Ray leaves the logs of what it has started open
            member.node = self._cluster.add_node(node_ip_address=member.address, env_vars=env, **ports, **first,
                                                 **wanted)

    def lose(self, member: Member) -> None:
        """Let a node die as a machine does: its Ray, its daemon, and with that its containers."""
        self._cluster.remove_node(member.node, allow_graceful=False)
        member.engine.stop(kill=True)

    def revive(self, member: Member) -> None:
        """Let a node that died come back as a machine does that was started anew, its temporary folder empty."""
        shutil.rmtree(member.temporary, ignore_errors=True)
        member.temporary.mkdir(exist_ok=True)
        member.engine.start()
        self.add(member)

    def left_behind(self, members: list[Member] | None = None, *, seconds: float = 20.0) -> list[str]:
        """Return what is left on nodes, once it does not get less any more, or nothing is."""
        give_up = time.monotonic() + seconds
        while True:
            left = [name for member in members or self.members for name in member.left_behind()]
            if not left or time.monotonic() > give_up:
                return left
            time.sleep(0.1)

    def close(self) -> None:
        """End everything, and remove what it had on disk."""
        if self._cluster is not None:
            import ray

            ray.shutdown()
            self._cluster.shutdown()
        os.environ.pop("RAY_TMPDIR", None)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda member: member.engine.close(), self.members))
        shutil.rmtree(self.folder, ignore_errors=True)
