"""A process of a second's life that leaves standbys behind, so that the run before it can end at once.

    python -m sandbox_interpreter.sandbox.leaving < order in JSON

It is told no variable and no secret: a standby has none.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import asdict
from typing import Any

from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sandbox.policy import Policy


def leave_soon(image: str, policy: Policy, *, workspace: str | None, engine: str | None, most: int) -> None:
    """Begin to leave ``most`` standbys for the next runs of this kind, in a process of its own; returns at once."""
    order = {"image": image, "policy": asdict(policy), "workspace": workspace, "engine": engine, "most": most}
    with suppress(OSError):  # no process or no memory: the next run starts a container of its own
        process = subprocess.Popen([sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,  # noqa: S603 - this very program
                                   stderr=subprocess.DEVNULL, start_new_session=True)
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        process.returncode = 0  # nobody waits for it, and nobody is to be warned of that


def main() -> None:
    """Carry out the order on stdin; what fails is nobody's loss, and told to nobody."""
    order = json.load(sys.stdin)
    with suppress(SandboxInterpreterError, OSError):
        _leave(order)


def _leave(order: dict[str, Any]) -> None:
    from sandbox_interpreter.sandbox import launch, standby
    from sandbox_interpreter.sandbox import workspace as workspaces

    place = workspaces.resolve(order["workspace"], engine=order["engine"]) if order["workspace"] else None
    wanted = standby.Wanted(order["image"], Policy(**order["policy"]), place)
    with closing(launch.engine_of(order["engine"])) as engine:
        standby.tidy(engine)
        for _ in range(order["most"]):
            if not standby.leave(engine, wanted, most=order["most"]):
                return


if __name__ == "__main__":
    main()
