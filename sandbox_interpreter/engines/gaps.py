"""What an engine is known not to do, of what sandboxes are promised elsewhere: found by `make test-engines`."""

from __future__ import annotations

from sandbox_interpreter.engines.base import EngineInfo

PODMAN = (
    "a session whose program was killed cannot be taken up again: Podman closes stdin with a container's first client",
    "no sandbox waits for the next run, and --standby changes nothing: Podman ends it with its maker",
    "places in memory hold any number of files: code can use up its own memory with empty ones",
    "--runtime is refused: Podman's Docker API passes it over in silence",
)
GVISOR = (
    "with --network full, this machine's own addresses stay open: gVisor reads the routes before they can be closed",
    "the limit of processes counts gVisor's own threads: code that makes too many loses its sandbox, not only itself",
    "a limit of a few dozen processes may start none: gVisor itself has that many threads",
    "what meets a limit is ended and not told which: gVisor counts in its own kernel",
    "places in memory hold any number of files: code can use up its own memory with empty ones",
    "code can end its own sandbox, which costs the session its variables: gVisor does not spare the first process",
)
ELSEWHERE = ("folders of this machine cannot be mounted, since the engine does not see them: -w DIR is refused, and "
             "-w DIR:copy travels by copy, both ways")


def gaps(info: EngineInfo, runtime: str | None) -> tuple[str, ...]:
    """Return a sentence on each gap of the engine, with ``runtime`` or its own default; none for Docker's own."""
    return (PODMAN if info.name == "podman" else ()) + (GVISOR if "runsc" in (runtime or info.default_runtime) else ())
