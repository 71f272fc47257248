"""A language model writes code; it runs in a hardened container.

    from sandbox_interpreter import interpreter, Interpreter, Sandbox

``interpreter`` is a ready-made Interpreter with the user's own settings. Every name is loaded when it is first used,
so importing the package takes no time and prints nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # type checkers take it for typing's, whose import would take longer than all the rest
if TYPE_CHECKING:
    from typing import Any

    from sandbox_interpreter.approval import Approval
    from sandbox_interpreter.cluster.cluster import Cluster
    from sandbox_interpreter.config import Settings
    from sandbox_interpreter.errors import SandboxInterpreterError
    from sandbox_interpreter.interpreter import Interpreter
    from sandbox_interpreter.messages import Chunk, CodeBlock, Message
    from sandbox_interpreter.sandbox.policy import Policy
    from sandbox_interpreter.sandbox.pool import Pool
    from sandbox_interpreter.sandbox.sandbox import Sandbox, Script

    interpreter: Interpreter

_HOMES = {
    "Approval": "approval",
    "Chunk": "messages",
    "Cluster": "cluster.cluster",
    "CodeBlock": "messages",
    "Interpreter": "interpreter",
    "Message": "messages",
    "Policy": "sandbox.policy",
    "Pool": "sandbox.pool",
    "Sandbox": "sandbox.sandbox",
    "SandboxInterpreterError": "errors",
    "Script": "sandbox.sandbox",
    "Settings": "config",
}

__all__ = ["Approval", "Chunk", "Cluster", "CodeBlock", "Interpreter", "Message", "Policy", "Pool", "Sandbox",
           "SandboxInterpreterError", "Script", "Settings", "interpreter"]


class _Package(ModuleType):
    """The package's own type, since ``interpreter`` names two things: the object, and the module interpreter.py.

    Importing that module sets the attribute to it; the property keeps the object in its place.
    """

    @property
    def interpreter(self) -> Interpreter:
        """Return the ready-made interpreter; the first use makes it. Raises ConfigError."""
        ready: Interpreter | None = self.__dict__.get("_interpreter")
        if ready is None:
            ready = self.__dict__["_interpreter"] = self.Interpreter()
        return ready

    @interpreter.setter
    def interpreter(self, module: ModuleType) -> None:
        """Let the import system believe that it has set its attribute; the module stays in ``sys.modules``."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
