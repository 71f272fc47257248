"""Which limit a process met: what the kernel's control groups counted, and what is full."""

from __future__ import annotations

import errno
import os

# cgroup v2 first, then v1, as they are mounted inside a container.
_COUNTERS = {
    "memory": (("/sys/fs/cgroup/memory.events", "oom_kill"), ("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill")),
    "pids": (("/sys/fs/cgroup/pids.events", "max"), ("/sys/fs/cgroup/pids/pids.events", "max")),
}

_PLACES = ("/tmp", "/dev/shm", os.path.expanduser("~"), "/workspace")  # all that code may write to


def count(limit: str) -> int:
    """Return how often ``memory`` or ``pids`` struck in this container; 0 where the kernel does not tell."""
    for path, key in _COUNTERS[limit]:
        try:
            with open(path) as file:
                for line in file:
                    name, _, value = line.partition(" ")
                    if name == key:
                        return int(value)
        except (OSError, ValueError):
            continue
    return 0


class Watch:
    """Tells which limits struck since it was last asked."""

    def __init__(self) -> None:
        self._seen = {limit: count(limit) for limit in _COUNTERS}

    def struck(self, limit: str) -> bool:
        """Tell whether ``limit`` struck since the last question about it."""
        before, self._seen[limit] = self._seen[limit], count(limit)
        return self._seen[limit] > before

    def of_failure(self) -> str | None:
        """Return the limit that a run which failed has met, if it met one: ``pids``, or ``disk`` where a place is full.

        A shell's ``dd`` and a program's child say in words that no space is left, which nobody can rely on.
        """
        if self.struck("pids"):
            return "pids"
        return "disk" if any(map(_is_full, _PLACES)) else None


def _is_full(folder: str) -> bool:
    """Tell whether no byte or no file more can be written to ``folder``; a read-only one has no room to lose."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    if found.f_flag & os.ST_RDONLY:
        return False
    return bool((found.f_blocks and not found.f_bavail) or (found.f_files and not found.f_favail))


def limit_of(error: BaseException) -> str | None:
    """Return ``disk`` when an exception says that no space is left, else None."""
    return "disk" if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) else None


def cause_of_death(code: int, limit: str | None) -> str:
    """Return why a kernel ended, as a sentence for people; ``code`` is negative for a signal."""
    if limit == "memory":
        why = "it used more memory than the sandbox has"
    elif limit == "time":
        why = "it did not stop when the time limit was reached"
    elif code < 0:
        why = f"it was ended by signal {-code}"
    else:
        why = f"it exited with code {code}"
    return f"The kernel is gone: {why}. Its variables are lost; files are kept. The next cell gets a new kernel."


def prefer_killing_me() -> None:
    """Make the calling process the first that the out-of-memory killer takes, before the agent."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    except OSError:
        return  # a runtime without /proc/self/oom_score_adj (gVisor) has no killer of its own either
    try:
        os.write(descriptor, b"800")
    finally:
        os.close(descriptor)
