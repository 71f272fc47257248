"""What an engine is known not to do, of what sandboxes are promised elsewhere: found by `make test-engines`.

The table in docs/engines.md says the same, and `sbi doctor` what concerns the engine that it finds.
"""

from __future__ import annotations

from sandbox_interpreter.engines.base import EngineInfo
from sandbox_interpreter.frozen import frozen


@frozen
class Gap:
    """What does not work, and the reason."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}"


PODMAN = (
    Gap("a session whose program was killed cannot be taken up again",
        "Podman closes a container's stdin with its first client"),
    Gap("no sandbox waits for the next run, and --standby changes nothing",
        "one that waits would end with its maker, for the same reason"),
    Gap("places in memory hold any number of files, so that code can use up its own memory with empty ones",
        "Podman's tmpfs options know no such limit"),
    Gap("two places more can be written to, /run and /var/tmp, 4 KiB each",
        "Podman lays them over every read-only root"),
    Gap("code of an image without Python may make user namespaces",
        "Podman's filter of kernel calls lets it, and the agent's own takes a Python"),
    Gap("--runtime is refused", "Podman's Docker API passes it over in silence; set it in containers.conf"),
)
GVISOR = (
    Gap("--network full depends on how runsc is set up",
        "with --network=none it has no interface at all; hosts that are listed work"),
    Gap("code that makes too many processes or threads loses its sandbox, not only itself; a limit of a few dozen may "
        "start none", "the limit counts the threads of gVisor's own kernel"),
    Gap("code can end its own sandbox, which costs the session its variables",
        "gVisor does not spare the first process from its own signals"),
    Gap("places in memory hold any number of files, so that code can use up its own memory with empty ones",
        "gVisor knows no such limit"),
    Gap("code that meets a limit ends, and is not told which limit it was",
        "gVisor's own kernel counts, and shows no counters"),
    Gap("code may make user namespaces and device nodes, and read a log of the kernel's",
        "they are of gVisor's own kernel, and lead to nothing of this machine's"),
    Gap("a container that somebody has paused may stay until sbi sessions prune",
        "Docker removes a paused one of gVisor's at its second try only"),
)
TCP = (
    Gap("an image without Python gets no folder of this machine",
        "nothing in it tells sbi whether it sees this one or another of its name"),
)
ELSEWHERE = Gap("-w DIR is refused, and -w DIR:copy travels by copy, both ways",
                "the engine does not see the folders of this machine")


def gaps(info: EngineInfo, runtime: str | None) -> tuple[Gap, ...]:
    """Return the gaps of the engine, with ``runtime`` or its own default; none for Docker's own.

    Whether it sees this machine's folders is not known before a sandbox has been tried: ELSEWHERE.
    """
    return ((PODMAN if info.name == "podman" else ()) + (GVISOR if "runsc" in (runtime or info.default_runtime) else ())
            + (TCP if info.address.startswith(("tcp://", "http://", "https://")) else ()))
