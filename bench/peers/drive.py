"""A driver's process: orders go in, answers come out, and neither is waited for without end."""

from __future__ import annotations

import json
import selectors
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from bench.peers.environments import Unavailable
from bench.peers.roster import Peer

_SECONDS = 180.0
_ROOT = Path(__file__).parents[2]


class Driver:
    """A peer that takes orders; see ``drivers.rounds``. Raises Unavailable where it does not answer."""

    def __init__(self, peer: Peer, python: str, image: str) -> None:
        module, *arguments = peer.driver
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # end closes it
        self._process = subprocess.Popen(
            [python, "-m", f"bench.peers.drivers.{module}", image, *arguments], cwd=_ROOT, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)
        try:
            self.version = str(self._answer()["version"])
        except BaseException:
            self.end()
            raise

    def ask(self, order: str) -> dict[str, Any]:
        """Return the answer to an order."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{order}\n".encode())
        except OSError:
            raise Unavailable(self._last_words()) from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(_SECONDS):
                raise Unavailable(f"it said nothing for {_SECONDS:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        self._process.wait(10)
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f"its driver failed: {said[-1][:300] if said else self._process.returncode}"

    def end(self) -> None:
        """Let it come to its end, or end it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()
