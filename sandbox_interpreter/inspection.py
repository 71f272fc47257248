"""Programs of ours that look at what may be hostile (code, pictures), each look in a container and never on the host.

It is a container of their own: the session's runs the code that is looked at, which could have put another program in
the place of the one that looks.
"""

from __future__ import annotations

import threading
from typing import Self

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import SandboxError
from sandbox_interpreter.notices import Notices
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.policy import MIB, Policy
from sandbox_interpreter.sandbox.sandbox import Sandbox, Script
from sandbox_interpreter.values import parse_locks
from sandbox_interpreter.workbench import provider

IMAGE = "python"
"""The bundled image that has the programs, whatever image the session's own code runs in."""
_SECONDS = 30.0
_OUTPUT = 64 * MIB


class Inspector:
    """A container for looking at things, in a context. It has no network and sees no file; the first look starts it."""

    def __init__(self, settings: Settings, notices: Notices) -> None:
        policy = Policy(cpus=settings.cpus, runtime=settings.runtime, timeout=_SECONDS, output=_OUTPUT)
        self._sandbox = Sandbox(IMAGE, policy=policy, engine=settings.engine,
                                notify=lambda _: None,  # where its files are is nothing that anybody has to know
                                provide=provider(notices, settings.ca_bundle),
                                locked=parse_locks(settings.lock))

    def look(self, command: str, data: bytes, *, accept: tuple[int, ...] = (0,)) -> bytes:
        """Return what a shell command prints that reads ``data`` on its stdin.

        Raises SandboxError for an exit code that is not among ``accept`` or a limit that was reached, EngineError.
        """
        execution = self._sandbox.execute("shell", command, script=Script("look"), stdin="pipe")
        printed = {"stdout": bytearray(), "stderr": bytearray()}
        with execution:
            # Apart, since what is read makes room for more to be sent.
            threading.Thread(target=_feed, args=(execution, data), name="inspection-stdin", daemon=True).start()
            for output in execution:
                if isinstance(output, Stream):
                    printed[output.name] += output.data
        result = execution.result
        if result.limit or result.exit_code not in accept:
            said = bytes(printed["stderr"][-300:]).decode("utf-8", "replace").strip()
            raise SandboxError(f"The look at it ended with {result.limit or result.exit_code}. {said}".rstrip(),
                               next_step=f"If it happens again: sbi images build {IMAGE}")
        return bytes(printed["stdout"])

    def close(self) -> None:
        """End the container, if there is one; harmless when repeated."""
        self._sandbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _feed(execution: Execution, data: bytes) -> None:
    execution.send_stdin(data)
    execution.close_stdin()
