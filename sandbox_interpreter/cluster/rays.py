"""Everything that is asked of Ray. It is imported here alone, when a cluster is used: that takes a second."""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sandbox_interpreter.errors import EngineError, EngineUnreachable, NodeLost, SandboxInterpreterError, UsageError

RESOURCE = "sbi"
"""The custom resource of nodes that have an engine; its number is how many sandboxes may be there at once."""
INSTALL = "Install what it needs: pip install 'sandbox-interpreter[ray]'"
_KNOCK_SECONDS = 10.0
_TRIES = 3
"""Of a head that is busy: it gives each client's server half a minute to come up."""
_THREADS = 16
"""Calls that one slot answers at once: what a run says, and beside it an interrupt or the end."""


@dataclass(frozen=True)
class Here:
    """The node that a slot is on."""

    node: str
    address: str


@dataclass(frozen=True)
class Node:
    """A living node; ``total`` are its resources by Ray's names, memory in bytes."""

    node: str
    address: str
    host: str
    total: dict[str, float]

    def fits(self, wanted: dict[str, float]) -> bool:
        """Tell whether these resources could ever be had there."""
        return all(self.total.get(name, 0.0) >= amount for name, amount in wanted.items())


def library() -> Any:
    """Return Ray itself. Raises UsageError where it is not installed."""
    # Otherwise whatever is asked without a cluster, or after it was left, starts one on this machine.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    try:
        import ray
    except ImportError:
        raise UsageError("A cluster needs Ray, which is not installed.", next_step=INSTALL) from None
    return ray


def join(address: str) -> bool:
    """Connect this process to a cluster; False if it was connected before, by whoever started it.

    Raises EngineUnreachable; UsageError where Ray is not installed, or is another release than the cluster's.
    """
    ray = library()
    if ray.is_initialized():
        return False
    step = ("Start one: ray start --head --resources='{\"sbi\": 4}'. If it has a token: export RAY_AUTH_MODE=token. "
            "docs/cluster.md has the rest.")
    address = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    try:
        _knock(address)
        _begin(ray, address)
    except (ConnectionError, TimeoutError, ValueError, OSError) as error:
        raise EngineUnreachable(f"No Ray cluster answers at {address!r}: {_line(error)}", next_step=step) from None
    except RuntimeError as error:
        if "ersion" in str(error):
            raise UsageError(f"The cluster at {address!r} runs other releases: {_line(error)}",
                             next_step="Take the same Python and the same Ray on all machines.") from None
        raise EngineUnreachable(f"No Ray cluster answers at {address!r}: {_line(error)}", next_step=step) from None
    return True


def _begin(ray: Any, address: str) -> None:
    """Connect; again, if the head has not got the server ready in time that it starts for each client of ``ray://``."""
    for left in reversed(range(_TRIES)):
        try:
            # Nothing of ours is in what the nodes print; an environment of ours goes with no job.
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, configure_logging=True)
            return
        except (ConnectionError, RuntimeError) as error:
            if not left or "Initialization failure" not in str(error):
                raise
            ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError if nothing listens at a host's port: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()


def leave() -> None:
    """Disconnect; Ray then ends what this process has left there."""
    library().shutdown()


def here() -> Here:
    """Return the node that this process, an actor's or a job's, is on."""
    ray = library()
    return Here(ray.get_runtime_context().get_node_id(), str(ray.util.get_node_ip_address()))


def nodes() -> list[Node]:
    """Return the nodes that live. Raises EngineUnreachable."""
    with _translated(""):
        found = library().nodes()
    return [Node(each["NodeID"], each["NodeManagerAddress"], each["NodeManagerHostname"], dict(each["Resources"]))
            for each in found if each["Alive"]]


def needs(cpus: float, memory: int) -> dict[str, float]:
    """Return the resources of a sandbox by Ray's names."""
    wanted = {"CPU": float(cpus if cpus <= 1 else math.ceil(cpus)), "memory": float(memory), RESOURCE: 1.0}
    return {name: amount for name, amount in wanted.items() if amount}


def start(kind: type, *, cpus: float, memory: int, besides: Sequence[str] = ()) -> Any:
    """Return an actor of ``kind`` that Ray places once a node has room, on none of the nodes ``besides``.

    It dies with this process, and is never restarted: what was in it is gone.
    """
    wanted = needs(cpus, memory)
    labels = {"ray.io/node-id": f"!in({','.join(besides)})"} if besides else None
    return library().remote(kind).options(
        num_cpus=wanted.get("CPU", 0), memory=int(memory) or None, resources={RESOURCE: 1}, label_selector=labels,
        max_concurrency=_THREADS, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD").remote()


def on_each(function: Any, found: Sequence[Node], seconds: float) -> Iterator[tuple[Node, Any]]:
    """Yield what ``function`` returns on each node, or the error that it met there, TimeoutError among them."""
    ray = library()
    task = ray.remote(function)
    asked = [(node, task.options(num_cpus=0, max_retries=0, label_selector={"ray.io/node-id": node.node}).remote())
             for node in found]
    ray.wait([answer for _, answer in asked], num_returns=len(asked), timeout=seconds)
    for node, answer in asked:
        try:
            with _translated(node.address):
                yield node, ray.get(answer, timeout=0.1)
        except (SandboxInterpreterError, TimeoutError) as error:
            yield node, error


def ask(answer: Any, node: str) -> Any:
    """Return what a call of an actor on ``node`` comes to.

    Raises what it raised, if that is an error of ours; NodeLost where the actor or its node is gone.
    """
    with _translated(node):
        return library().get(answer)


def put(data: bytes) -> Any:
    """Return a reference to data in the object store."""
    with _translated(""):
        return library().put(data)


def fetch(reference: Any) -> bytes:
    """Return the data behind a reference."""
    data: bytes = library().get(reference)
    return data


def end(actor: Any) -> None:
    """End an actor at once, placed or not; harmless when repeated."""
    library().kill(actor)


@contextmanager
def _translated(node: str) -> Iterator[None]:
    """Turn Ray's errors into ours."""
    ray = library()
    gone = (ray.exceptions.RayActorError, ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError, ray.exceptions.ObjectLostError, ray.exceptions.LocalRayletDiedError)
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        if isinstance(cause, SandboxInterpreterError):
            raise cause from None
        if isinstance(cause, gone):
            raise lost(node, _line(cause)) from None
        raise EngineError(f"sbi failed on node {node}: {type(cause).__name__}: {_line(cause)}",
                          next_step="Look at every node: sbi cluster doctor auto") from None
    except TimeoutError:
        raise
    except gone as error:
        if "failed to import" in str(error) or "ModuleNotFoundError" in str(error):
            raise EngineError("A node of the cluster has no sandbox_interpreter of this release.",
                              next_step=f"{INSTALL}. Then look at every node: sbi cluster doctor auto") from None
        raise lost(node, _line(error)) from None
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise EngineError(f"The Ray cluster does not answer: {_line(error)}",
                          next_step="Look at its head: ray status") from None


def lost(node: str, why: str) -> NodeLost:
    """Return the error that tells of a node that is gone."""
    return NodeLost(f"The node {node or 'of a sandbox'} was lost: {why}",
                    next_step="Look at every node: sbi cluster doctor auto", node=node)


def _line(error: BaseException) -> str:
    """Return the first line of an error of Ray's, which go on for many."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return first if len(first) <= 300 else f"{first[:299]}…"
