"""llm-sandbox: SandboxSession as its README shows it, the same with its fast settings, and its interactive session."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from llm_sandbox import InteractiveSandboxSession, SandboxSession

from bench.peers.drivers.rounds import serve

# Its image has Python as the main process, as its own default has; an init lets that be stopped at once.
INIT: dict[str, Any] = {"init": True}


class LLMSandbox:
    """A session; ``way`` is interactive, fast or default."""

    def __init__(self, image: str, *, way: str) -> None:
        if way == "interactive":  # it cannot skip its set-up: it installs IPython there
            self._session = InteractiveSandboxSession(image=image, runtime_configs=INIT)
        elif way == "fast":
            self._session = SandboxSession(image=image, lang="python", skip_environment_setup=True,
                                           runtime_configs=INIT)
        else:
            self._session = SandboxSession(image=image, lang="python")
        self._session.open()

    def cell(self, code: str) -> str:
        """Return what Python code prints."""
        result = self._session.run(code)
        if result.exit_code:
            raise RuntimeError(result.stderr)
        return str(result.stdout)

    def close(self) -> None:
        """End it."""
        self._session.close()


if __name__ == "__main__":
    serve("llm-sandbox", partial(LLMSandbox, way=sys.argv[2]))
