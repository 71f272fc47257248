"""A Ray cluster whose nodes have engines, and the sandboxes on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sandbox_interpreter import environment as environments
from sandbox_interpreter.cluster import rays
from sandbox_interpreter.cluster.orders import Order, sealed
from sandbox_interpreter.cluster.sandbox import ClusterSandbox
from sandbox_interpreter.cluster.shelf import Shelf
from sandbox_interpreter.cluster.slots import PATIENCE, Demand, Slots
from sandbox_interpreter.errors import EngineUnreachable, UsageError
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.settle import print_notice
from sandbox_interpreter.sandbox.submit import check_environment
from sandbox_interpreter.values import parse_locks

if TYPE_CHECKING:
    from sandbox_interpreter.config import Settings
    from sandbox_interpreter.sandbox.gate import Record


class Cluster:
    """Gives sandboxes on the nodes of a Ray cluster; a context manager. Thread-safe.

    ``address`` is what ``ray.init`` takes: ``auto`` for the cluster that this machine belongs to, ``HOST:6379``,
    ``ray://HOST:10001`` from a machine outside of it. A process that has joined a cluster already stays in that one.
    ``notify`` is told, in a sentence, what the user should know. ``patience`` is in seconds: for so long a sandbox
    waits for which no node is large enough; one that only has to wait for its turn waits without end.

    Raises EngineUnreachable; UsageError where Ray is not installed, or differs from the cluster's.
    """

    def __init__(self, address: str = "auto", *, notify: Callable[[str], None] = print_notice,
                 patience: float = PATIENCE) -> None:
        self._notify = notify
        self._joined = rays.join(address)
        self._slots = Slots(notify, patience)
        self._shelf = Shelf()

    def sandbox(self, image: str = "python", *, policy: Policy | None = None, env: Mapping[str, str] | None = None,
                secrets: Mapping[str, str] | None = None, locked: Mapping[str, str] | None = None,
                standby: bool = False, record: Record | None = None, notify: Callable[[str], None] | None = None,
                check: Callable[[], object] = lambda: None) -> ClusterSandbox:
        """Return a fresh sandbox, once a node has room for it; its first run starts it.

        The arguments are those of ``Sandbox``; ``record`` is told of the connections out of it. ``check`` is called
        while it waits, and raises what ends that. Raises EngineError where no node can have it, NodeLost, UsageError.
        """
        policy = policy or Policy()
        check_environment({**(env or {}), **(secrets or {})})
        held = self._slots.take(Demand(policy.cpus, policy.memory), check)
        try:
            order = Order(image, policy, dict(locked or {}), standby)
            number = held.ask("open", order, *sealed(env or {}, secrets or {}))
        except EngineUnreachable as error:
            self._slots.drop(held, str(error))
            raise rays.lost(held.facts.address, str(error)) from None
        except UsageError:  # whoever asked is wrong, and the slot as good as before
            self._slots.give_back(held)
            raise
        except BaseException:
            self._slots.drop(held)
            raise
        return ClusterSandbox(self._slots, self._shelf, held, number, record=record, notify=notify or self._notify)

    def close(self) -> None:
        """End all sandboxes and leave the cluster; harmless when repeated."""
        self._slots.close()
        if self._joined:
            self._joined = False
            rays.leave()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ClusterSource:
    """Where the tasks of one thread get their sandboxes; ``check`` raises what ends a wait for one."""

    def __init__(self, cluster: Cluster, check: Callable[[], object]) -> None:
        self._cluster = cluster
        self._check = check

    def new(self, settings: Settings, record: Record | None) -> ClusterSandbox:
        """Return a fresh sandbox on a node. Raises Stopped, UsageError, EngineError."""
        return self._cluster.sandbox(
            settings.image, policy=settings.policy(), env=environments.variables(settings),
            secrets=environments.secrets(settings), locked=parse_locks(settings.lock), standby=settings.standby > 0,
            record=record, notify=lambda _: None, check=self._check)

    def wipe(self, box: object) -> None:
        """Forget what a task has left in a sandbox."""
        assert isinstance(box, ClusterSandbox)
        box.wipe()

    def close(self) -> None:
        """Do nothing: slots are the cluster's."""
