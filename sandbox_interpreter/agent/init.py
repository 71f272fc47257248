"""The container's first process: it buries whoever dies without a parent, and ends the container with the agent.

An engine's own init would do the same, but stand outside of the agent's filter; and code can take it over, as it can
every process of its own user.
"""

from __future__ import annotations

import os

from . import signals


def begin() -> None:
    """Return in a child of this process, which stays behind until that child has ended, and ends with its code."""
    agent = os.fork()
    if not agent:
        return
    signals.ignore_all()  # what has no handler does not reach a first process from inside (pid_namespaces(7))
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == agent:
            os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
