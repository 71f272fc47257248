"""SWE-ReX: DockerDeployment with its server in the image, and a shell session in which each cell is a python3 -c."""

from __future__ import annotations

import asyncio
import shlex

from swerex.deployment.docker import DockerDeployment
from swerex.runtime.abstract import BashAction, CreateBashSessionRequest

from bench.peers.drivers.rounds import serve


class SweRex:
    """A deployment, on an event loop of its own."""

    def __init__(self, image: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._deployment = DockerDeployment(image=image, pull="never")
        self._loop.run_until_complete(self._deployment.start())
        self._loop.run_until_complete(self._deployment.runtime.create_session(CreateBashSessionRequest()))

    def cell(self, code: str) -> str:
        """Return what Python code prints."""
        action = BashAction(command=f"python3 -c {shlex.quote(code)}")
        return str(self._loop.run_until_complete(self._deployment.runtime.run_in_session(action)).output)

    def close(self) -> None:
        """End it."""
        self._loop.run_until_complete(self._deployment.stop())
        self._loop.close()


if __name__ == "__main__":
    serve("swe-rex", SweRex)
