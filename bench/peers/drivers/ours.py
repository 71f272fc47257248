"""sandbox_interpreter with its defaults."""

from __future__ import annotations

from bench.peers.drivers.rounds import serve
from sandbox_interpreter.sandbox.sandbox import Sandbox


class Ours:
    """A Sandbox."""

    def __init__(self, image: str) -> None:
        self._box = Sandbox(image)

    def cell(self, code: str) -> str:
        """Return what Python code prints."""
        return "".join(chunk["content"] for chunk in self._box.run("python", code)
                       if chunk.get("format") == "output" and isinstance(chunk.get("content"), str))

    def close(self) -> None:
        """End it."""
        self._box.close()


if __name__ == "__main__":
    serve("sandbox-interpreter", Ours)
