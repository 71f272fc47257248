"""The Python kernel as the agent sees it: forked from the agent, so that no second interpreter boots.

A kernel file that is Python runs the same way: it defines a CellRunner of its own, named Runner.
"""

from __future__ import annotations

import sys

from . import signals
from .kernel import Kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .cells import CellRunner
    from .main import Agent
    from .request import Request


class PythonKernel(Kernel):
    """Runs cells in a child that keeps one namespace; ``source`` is that of a kernel file."""

    def __init__(self, agent: Agent, name: str, source: bytes = b"") -> None:
        super().__init__(agent, name)
        self.spawn(lambda: _runner(name, source).serve())

    def submit(self, request: Request) -> None:
        """Send the cell over the control pipe."""
        self.say("execute", request.code, ask=request.stdin == "ask", active_line=request.active_line)

    def look_again(self) -> None:
        """Wake a kernel that waits: the interpreter looks for signals between two steps, not when it begins to wait."""
        self._signal_alone(signals.NUDGE, self.pid)

    def reply(self, line: bytes) -> None:
        """Answer an input request."""
        self.say("reply", line)


def _runner(name: str, source: bytes) -> CellRunner:
    from .cells import CellRunner  # loaded in the child: the agent needs none of it

    if not source:
        return CellRunner()
    module = type(sys)(f"{__package__}.kernels.{name.removesuffix('.py')}")
    module.__package__ = f"{__package__}.kernels"
    exec(compile(source, f"<{module.__name__}>", "exec"), module.__dict__)
    runner: CellRunner = module.Runner()
    return runner
