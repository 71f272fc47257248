"""The sandbox policy: every limit and permission of a container in one record, closed by default.

``Policy`` is data. ``container_spec`` is the only place that turns it into what an engine is asked for, and
``HARDENING`` in the engine adapter holds what no policy can widen (capabilities, privileges, root file system).
"""

from __future__ import annotations

from typing import Literal, get_args

from sandbox_interpreter.frozen import frozen

MIB = 1024 * 1024
GIB = 1024 * MIB

Access = Literal["rw", "ro", "copy"]


@frozen
class Policy:
    """What the code in a sandbox may use. Sizes in bytes, times in seconds; 0 means no limit where it is allowed."""

    network: str = "none"
    """``none``: no interface but loopback. ``full``: the engine's bridge network."""
    memory: int = GIB
    """Memory of the whole container, tmpfs included; swap is off."""
    cpus: float = 2.0
    """Processors' worth of time."""
    pids: int = 256
    """Processes and threads together."""
    nofile: int = 4096
    """Open files per process."""
    tmp: int = 512 * MIB
    """Size of each of /tmp and the home folder, both in memory; never more than 3/8 of ``memory``."""
    timeout: float = 0.0
    """Seconds that one run may take."""
    grace: float = 2.0
    """Seconds between the steps of the interrupt ladder: SIGINT, SIGTERM, SIGKILL."""
    idle: float = 600.0
    """Seconds without a client after which the sandbox ends itself. Never 0: nothing may live for ever."""
    output: int = 0
    """Bytes of output that one run may produce."""
    disk: int = 10 * GIB
    """Bytes that the code may add to the disk, in the workspace and what it installs: it is ended when it took more."""
    reserve: int = GIB
    """Bytes that stay free on the disk of the workspace: a sandbox that is about to take them is ended."""
    access: Access = "rw"
    """How code has the workspace: it may write, only read, or gets a copy, and what changes is copied."""
    runtime: str | None = None
    """The engine's runtime (runc, runsc, …); None takes the engine's default."""


def split_access(text: str) -> tuple[str, Access]:
    """Return folder and access of ``DIR[:ro|:rw|:copy]``, the form in which a workspace is named."""
    for access in get_args(Access):
        if text.endswith(f":{access}"):
            return text.removesuffix(f":{access}"), access
    return text, "rw"
