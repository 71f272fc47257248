"""autogen-ext: DockerCommandLineCodeExecutor, a container in which each block is a program of its own."""

from __future__ import annotations

import asyncio

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor

from bench.peers.drivers.rounds import serve


class AutogenDocker:
    """An executor, on an event loop of its own."""

    def __init__(self, image: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._executor = DockerCommandLineCodeExecutor(image)
        self._loop.run_until_complete(self._executor.start())

    def cell(self, code: str) -> str:
        """Return what Python code prints."""
        blocks = [CodeBlock(code=code, language="python")]
        result = self._loop.run_until_complete(self._executor.execute_code_blocks(blocks, CancellationToken()))
        return str(result.output)

    def close(self) -> None:
        """End it."""
        self._loop.run_until_complete(self._executor.stop())
        self._loop.close()


if __name__ == "__main__":
    serve("autogen-ext", AutogenDocker)
