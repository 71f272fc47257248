"""autogen-ext: DockerJupyterServer with an image of one's own, and DockerJupyterCodeExecutor on it."""

from __future__ import annotations

import asyncio

from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock
from autogen_ext.code_executors.docker_jupyter import DockerJupyterCodeExecutor, DockerJupyterServer

from bench.peers.drivers import ports
from bench.peers.drivers.rounds import serve


class AutogenJupyter:
    """A server and an executor, on an event loop of their own."""

    def __init__(self, image: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._server = DockerJupyterServer(custom_image_name=image)
        # It waits for the container and not for what runs in it, and its executor fails where that does not answer.
        ports.wait_for_http(self._server.connection_info.port)
        self._executor = DockerJupyterCodeExecutor(self._server)
        self._loop.run_until_complete(self._executor.start())

    def cell(self, code: str) -> str:
        """Return what Python code prints."""
        blocks = [CodeBlock(code=code, language="python")]
        result = self._loop.run_until_complete(self._executor.execute_code_blocks(blocks, CancellationToken()))
        return str(result.output)

    def close(self) -> None:
        """End it."""
        self._loop.run_until_complete(self._executor.stop())
        self._loop.run_until_complete(self._server.stop())
        self._loop.close()


if __name__ == "__main__":
    serve("autogen-ext", AutogenJupyter)
