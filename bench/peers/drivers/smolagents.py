"""smolagents: DockerExecutor with an image that is there, a Jupyter kernel behind a published port."""

from __future__ import annotations

from smolagents.monitoring import AgentLogger, LogLevel
from smolagents.remote_executors import DockerExecutor

from bench.peers.drivers import ports
from bench.peers.drivers.rounds import serve


class Smolagents:
    """An executor."""

    def __init__(self, image: str) -> None:
        self._executor = DockerExecutor(additional_imports=[], logger=AgentLogger(LogLevel.OFF), port=ports.free(),
                                        image_name=image, build_new_image=False)

    def cell(self, code: str) -> str:
        """Return what Python code prints."""
        return str(self._executor.run_code_raise_errors(code).logs)

    def close(self) -> None:
        """End it."""
        self._executor.cleanup()


if __name__ == "__main__":
    serve("smolagents", Smolagents)
