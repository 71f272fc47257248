"""A process on a node that clears up when its slot was killed: a pipe to it ends with the slot, however that ends.

    python -m sandbox_interpreter.cluster.watch OWNER < pipe

Ray kills the actors of a driver that is gone, and a killed process ends no container. It is told nothing but which
process may die. Should Ray or the machine take this one as well, or the engine be down for longer, containers end by
their idle time, and what is left then goes when the next slot begins there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

from sandbox_interpreter.sandbox.owner import owner_label, owner_state

_DISMISSED = b"."
_DYING_SECONDS = 10.0
"""Seconds that a process may take to die whose pipe is closed already."""
_DELAY = 1.0
_TRIES = 60
"""Attempts to reach an engine, a second apart: it may be what was restarted."""


class Watch:
    """The slot's end of the pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def dismiss(self) -> None:
        """Let the process leave, since nothing is left to clear up; harmless when repeated."""
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:
            with suppress(OSError):  # it has gone
                os.write(pipe, _DISMISSED)
            os.close(pipe)


def begin() -> Watch:
    """Start the process for this one, and return the pipe to it. Raises OSError."""
    reading, writing = os.pipe()
    try:
        # It leaves at once, and its child stays: Ray kills the children of a process that it ends.
        subprocess.run([sys.executable, "-m", __name__, owner_label()], stdin=reading, stdout=subprocess.DEVNULL,  # noqa: S603 - this very program
                       stderr=subprocess.DEVNULL, start_new_session=True, check=True)
    finally:
        os.close(reading)
    return Watch(writing)


def main() -> None:
    """Wait for the end of stdin; then remove what the owner has left, unless it said that there is nothing."""
    owner = sys.argv[1]
    if os.fork():
        os._exit(0)
    while data := os.read(0, 1):
        if data == _DISMISSED:
            return
    give_up = time.monotonic() + _DYING_SECONDS
    while owner_state(owner) == "alive" and time.monotonic() < give_up:
        time.sleep(0.02)
    for _ in range(_TRIES):
        if clear():
            return
        time.sleep(1)


def clear_soon() -> None:
    """Remove what ended programs have left here before, a little later and in the background."""
    timer = threading.Timer(_DELAY, clear)
    timer.daemon = True
    timer.start()


def clear() -> bool:
    """Remove what ended programs have left on this machine's engine and disk; tell whether that went well."""
    from sandbox_interpreter import config
    from sandbox_interpreter.engines.docker import DockerEngine
    from sandbox_interpreter.errors import SandboxInterpreterError
    from sandbox_interpreter.sessions.reaper import prune

    try:
        with closing(DockerEngine(config.load().engine)) as engine:
            prune(engine, resumable=False)
    except (SandboxInterpreterError, OSError):
        return False
    return True


if __name__ == "__main__":
    main()
