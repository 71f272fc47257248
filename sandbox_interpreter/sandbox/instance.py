"""One container from its start to its end, and the channel to its agent. A sandbox may use up several."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sandbox_interpreter.agent import boot
from sandbox_interpreter.engines.base import Container, Wire
from sandbox_interpreter.errors import ChannelError, EngineError, NoAgent, SandboxInterpreterError
from sandbox_interpreter.languages import Language
from sandbox_interpreter.sandbox.channel import Channel
from sandbox_interpreter.sandbox.inbox import Inbox
from sandbox_interpreter.sandbox.policy import Policy

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.way_out import WayOut

RESYNC_SECONDS = 10.0
LEAVING_SECONDS = 1.0
"""Seconds that an agent has to leave before its container is removed by force."""


class Instance:
    """A container that was created, attached to. ``launch`` starts a new one, ``join`` takes up one that runs."""

    def __init__(self, container: Container, policy: Policy, *, joins: bool = False,
                 way_out: WayOut | None = None) -> None:
        self.container = container
        self._policy = policy
        self._heartbeat = min(policy.idle / 4, 20.0)
        self._starting: threading.Thread | None = None
        self.channel = Channel(_attached(container), heartbeat=self._heartbeat, joins=joins,
                               gate=way_out.gate if way_out else None)
        self._way_out = way_out
        self._taught: set[str] = set()

    def launch(self, environment: Mapping[str, str]) -> None:
        """Send what the agent needs, and start; the start goes on in the background.

        The agent's first answer is on its way before the engine reports the start, so nobody waits for that report.
        Raises ChannelError.
        """
        if self._policy.network == "full":
            self._start()  # nothing may run before the start has fenced it
        self.channel.send_raw(boot.bundle())
        if self._policy.network != "full":
            self._starting = threading.Thread(target=self._start, daemon=True)
            self._starting.start()
        # Behind the start: until then nobody reads, and a large environment does not fit into a socket.
        self._greet(environment)

    def _greet(self, environment: Mapping[str, str]) -> None:
        way_out = self._way_out
        variables = {**(way_out.variables if way_out else {}), **environment}
        self.channel.send("hello", json.dumps(variables).encode(), idle=self._policy.idle,
                          grace=self._policy.grace, heartbeat=self._heartbeat)
        if way_out:
            self.channel.send("egress_start", way_out.certificates, port=way_out.port)

    def _start(self) -> None:
        try:
            self.container.start()
        except SandboxInterpreterError as error:
            self.channel.explain(_reason(error))

    def join(self) -> list[Inbox]:
        """Return the runs of a former client that go on or whose end nobody saw. Raises ChannelError."""
        return self.channel.resync(RESYNC_SECONDS)

    def join_fresh(self, environment: Mapping[str, str]) -> None:
        """Take up a container that nobody has used, and give its agent what ``launch`` gives a new one.

        Raises ChannelError: it does not answer, or has run something.
        """
        if self.join() or not self.channel.is_fresh:
            raise ChannelError("The sandbox has run code already.", next_step="Run again for a new one.")
        self._greet(environment)

    def wait(self) -> None:
        """Return once the agent answers. Raises ChannelError when it does not come to that."""
        if self._starting:
            self._starting.join()
        self.channel.ready.wait()
        if self.channel.error:
            raise self.channel.error

    def has_no_agent(self) -> bool:
        """Tell, once that is known, whether the image lacks what the agent runs on."""
        self.channel.ready.wait()
        if self._starting:
            self._starting.join()  # the engine's own words may come behind the end of the stream
        return isinstance(self.channel.error, NoAgent)

    def teach(self, language: Language) -> None:
        """Tell the agent what it needs to know of a language, once. Raises ChannelError."""
        if language.is_built_in or language.name in self._taught:
            return
        self.channel.send("language", language.kernel_source(), name=language.name, suffix=language.suffix,
                          kernel=list(language.kernel), program=list(language.program), build=list(language.build),
                          main=list(language.main), includes=language.includes, guarded=language.guarded)
        self._taught.add(language.name)

    @property
    def over(self) -> bool:
        """Tell whether the container has ended, or was let go of."""
        return self.channel.error is not None

    def end(self, reason: ChannelError) -> None:
        """End the container at once, for a reason that everyone who waits is told."""
        self.channel.fail(reason)
        self.container.remove()

    def detach(self) -> None:
        """Let go of the container, which lives on for its idle time."""
        if self._starting:
            self._starting.join()  # whoever looks for it is to find it running, and code runs before the engine says so
        self.channel.close()

    def discard(self, *, wait: bool = True) -> None:
        """Remove the container; without ``wait`` it is enough that its last process has ended."""
        if self._starting:
            self._starting.join()
        try:
            # One with a network has a bridge, which can only go when the container has gone.
            if wait or self._policy.network == "full" or not self._leaves():
                self.container.remove()
        finally:
            self.channel.close()

    def _leaves(self) -> bool:
        """Tell the agent to leave, and whether its container has ended.

        The engine is asked, since what has taken an agent over can end its stream and live on.
        """
        with contextlib.suppress(ChannelError):  # it has ended already
            self.channel.send("shutdown_request")
        has_ended = self.channel.ended.wait(LEAVING_SECONDS)
        return has_ended and self.container.state() not in ("created", "running", "paused")


def _attached(container: Container) -> Wire:
    """Return a container's stdin and stdout. Raises NoAgent: Podman looks for the command as soon as one attaches."""
    try:
        return container.attach()
    except EngineError as error:
        if isinstance(reason := _reason(error), NoAgent):
            raise reason from None
        raise


def _reason(error: SandboxInterpreterError) -> ChannelError:
    """Return why a container did not start: most often its image lacks the command."""
    text = str(error)
    if "python3" in text and ("not found" in text or "no such file" in text.lower()):
        return NoAgent("The image has no python3, which the sandbox's agent runs on.",
                       next_step="Add it to the image (Debian: apt-get install python3-minimal).")
    return ChannelError(text, next_step=error.next_step)
