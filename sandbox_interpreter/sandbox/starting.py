"""The start of a container: with an agent in it, or with who stands in for one where the image has no Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.base import Container
from sandbox_interpreter.errors import NoAgent
from sandbox_interpreter.sandbox.instance import Instance
from sandbox_interpreter.sandbox.policy import Policy

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.way_out import WayOut

UNCONFINED = ("In {} the engine's filter of kernel calls holds code alone: the agent's own takes a Python that has "
              "ctypes, and a machine and kernel that it knows")
Create = Callable[[tuple[str, ...]], Container]
"""Returns a new container whose main process is that command; () is the agent."""


def start(image: str, policy: Policy, environment: Mapping[str, str], create: Create, *,
          way_out: WayOut | None, notify: Callable[[str], None]) -> Instance:
    """Return a container that starts. Only of an image that is not bundled is it known by then whether it has Python.

    Raises what ``create`` does, ChannelError; then there is no container.
    """
    is_bundled = index.resolve(image) != image
    try:
        instance = _launched(create(()), policy, environment, way_out)
        if is_bundled or not instance.has_no_agent():
            if not is_bundled and not instance.channel.confined:
                notify(f"{UNCONFINED.format(image)}.")
            return instance
        instance.discard()
    except NoAgent:
        if is_bundled:
            raise
    from sandbox_interpreter.sandbox import stand_in

    notify(stand_in.NOTICE.format(image))
    inner = create(stand_in.command(policy.idle))
    return _launched(stand_in.StandIn(inner, idle=policy.idle), policy, environment, None)


def _launched(container: Container, policy: Policy, environment: Mapping[str, str],
              way_out: WayOut | None) -> Instance:
    try:
        instance = Instance(container, policy, way_out=way_out)
    except BaseException:
        container.remove()
        raise
    try:
        instance.launch(environment)
    except BaseException:
        instance.discard()
        raise
    return instance
