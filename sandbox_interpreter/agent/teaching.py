"""Languages beyond the agent's own: what the host has taught of each, and the kernel that runs it."""

from __future__ import annotations

import errno
import os

from .kernel import Kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .frames import Frame
    from .main import Agent
    from .request import Request


class Taught:
    """One language as the host's record of it says (sandbox_interpreter/languages.py), and its kernel file."""

    def __init__(self, frame: Frame) -> None:
        header = frame.header
        self.name: str = header["name"]
        self.suffix: str = header["suffix"]
        self.kernel: list[str] = header["kernel"]
        self.program: list[str] = header["program"]
        self.build: list[str] = header["build"]
        self.main: list[str] = header["main"]
        self.includes: str = header["includes"]
        self.guarded: bool = header["guarded"]
        self.source = frame.payload

    def kernel_for(self, agent: Agent, request: Request) -> Kernel:
        """Return the kernel that runs a request: one that lives, or a new one.

        Raises OSError, also where the image lacks what the language needs.
        """
        if self.program and (request.mode == "script" or not self.kernel):
            from .program import ProgramKernel

            _find((self.build or self.program)[0], agent)
            return ProgramKernel(agent, self)
        if request.mode == "script":
            return self._new(agent, once=True)
        name = self.kernel[-1]  # languages that share a kernel file share the kernel
        return agent.living(name) or self._new(agent)

    def _new(self, agent: Agent, *, once: bool = False) -> Kernel:
        name = self.kernel[-1]
        kernel: Kernel
        if name.endswith(".py"):
            from .python import PythonKernel

            kernel = PythonKernel(agent, name, self.source)
        else:
            from .driver import DriverKernel

            _find(self.kernel[0], agent)
            kernel = DriverKernel(agent, self.kernel, self.source, guarded=self.guarded)
        kernel.once = once
        return kernel


def _find(command: str, agent: Agent) -> None:
    """Raise FileNotFoundError that names ``command`` where no folder of the program's PATH has it."""
    path = agent.environment.get("PATH") or os.environ.get("PATH", os.defpath)
    for folder in path.split(os.pathsep):
        if os.access(os.path.join(folder, command), os.X_OK):
            return
    raise FileNotFoundError(errno.ENOENT, f"this image has no {command!r}")
