"""Run tests/contract and tests/attack over every engine that this machine can have: python -m tests.matrix [NAME...]

    installed   whatever the settings and DOCKER_HOST name
    current     Docker Engine as Debian's unstable release has it, in a folder of its own
    podman      Podman's API service, from the same folder
    gvisor      that Docker Engine with gVisor's runsc as its runtime
    tls         that Docker Engine over TCP with TLS, in a network of its own
    ssh         that Docker Engine as on another machine: behind ssh, in a network of its own, seeing no folder of here

Words behind ``--`` go to pytest. With ``--left-out`` the tests run that are left out otherwise, to see which could be
taken back. What cannot run here is skipped with the reason; what an engine is known not to do is
left out with the reason (``gaps``). The folder, made once, is in the cache of whoever runs this, some 700 MB.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.docker import DockerEngine
from tests.support.engine_kinds import KINDS, Kind, Unavailable
from tests.support.engine_root import Root

_MODELS = "models are the same on every engine"
_OWN = "it starts a Docker daemon of its own, whichever engine the others run on"
LEFT_OUT = {
    "tests/contract/test_model_*": _MODELS,
    "tests/attack/test_hostile_model.py": _MODELS,
    "tests/attack/test_engine_faults.py": _OWN,
    "tests/attack/test_engine_hangs.py": _OWN,
    "tests/attack/test_engine_elsewhere.py": _OWN,
}
"""Files that run on the installed engine alone, and why."""

LOAD_SECONDS = 1800
UNUSED = ("full", "media")
"""Large images that no test of the contract and no attack starts."""


@contextmanager
def prepared(kind: Kind, root: Root) -> Iterator[dict[str, str]]:
    """Give the environment in which tests run on that engine, with the images that they need in it."""
    with ExitStack() as stack:
        environment = stack.enter_context(kind.started(root))
        if kind.address(environment):
            copy_images(kind.address(environment))
        yield environment


def copy_images(address: str) -> None:
    """Copy the images that tests use from the installed engine to the one at ``address``, where they differ."""
    source, target = DockerEngine(), DockerEngine(address)
    try:
        wanted = []
        for tag in (image.tag for name, image in index.bundled().items() if name not in UNUSED):
            mine, theirs = source.images().image(tag), target.images().image(tag)
            if mine is None:
                raise Unavailable(f"the installed engine has no {tag}; run: make images")
            if theirs is None or theirs.created != mine.created:
                wanted.append(tag)
        if wanted:
            print(f"  copying {', '.join(wanted)}", flush=True)
            # Together, since most of each is layers of another.
            target.client.timeout = LOAD_SECONDS  # Podman answers once it has all of them
            load = target.client.load_image  # what it returns is to be read to its end, or the load ends early
            deque(load(source.transport().export(wanted)), maxlen=0)  # type: ignore[no-untyped-call]  # SDK
    finally:
        source.close()
        target.close()


PYTEST = (sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider")


def taken_back(kind: Kind, environment: dict[str, str], words: list[str]) -> int:
    """Return what pytest says of the tests that are left out on that engine."""
    files = sorted({test.partition("::")[0] for test in kind.gaps})
    listed = subprocess.run([*PYTEST, "--collect-only", *files], env=environment, check=False, capture_output=True,
                            text=True).stdout.splitlines()
    chosen = [test for test in listed if test.startswith(tuple(kind.gaps))]
    return subprocess.run([*PYTEST, "-rp", *words, *chosen], env=environment, check=False).returncode if chosen else 0


def tested(kind: Kind, environment: dict[str, str], words: list[str]) -> int:
    """Return what pytest says of that engine, else what doctor does."""
    for test, reason in {**LEFT_OUT, **kind.gaps}.items():
        print(f"  left out: {test}: {reason}", flush=True)
    left_out = [*(f"--ignore-glob={pattern}" for pattern in LEFT_OUT), *(f"--deselect={test}" for test in kind.gaps)]
    # As its user sees it: what works there, and what is known not to.
    doctor = subprocess.run([Path(sys.executable).with_name("sbi"), "doctor"], env=environment, check=False).returncode
    command = [*PYTEST, *left_out, *words]
    if not any(word.startswith("tests/") for word in words):
        command += ["tests/contract", "tests/attack"]
    return subprocess.run(command, env=environment, check=False).returncode or doctor


def main() -> int:
    """Return 0 if every engine that could be had passed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the engines end with this program
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    test = taken_back if "--left-out" in given[:at] else tested
    names, words = [name for name in given[:at] if name != "--left-out"] or list(KINDS), given[at + 1:]
    if unknown := set(names) - set(KINDS):
        sys.exit(f"Unknown engine {', '.join(sorted(unknown))}. There are: {', '.join(KINDS)}.")
    root, outcome = Root(), dict.fromkeys(names, "")
    for name in names:
        print(f"== {name}: {KINDS[name].what}", flush=True)
        try:
            with prepared(KINDS[name], root) as environment:
                outcome[name] = "failed" if test(KINDS[name], environment, words) else "passed"
        except Unavailable as reason:
            outcome[name] = f"skipped: {reason}"
    print("\n".join(["== engines", *(f"{name:10} {said}" for name, said in outcome.items())]))
    return "failed" in outcome.values()


if __name__ == "__main__":
    sys.exit(main())
