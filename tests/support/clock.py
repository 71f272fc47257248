"""Clocks that a test sets while real programs run, here and in a container; see ``clocks/sitecustomize.py``."""

from __future__ import annotations

import shutil
from pathlib import Path

_CODE = Path(__file__).parent / "clocks/sitecustomize.py"
YEAR = 365 * 86400
INSIDE = "ENV PYTHONPATH=/workspace/.clocks"
"""The line of a Dockerfile that puts an image's Python under the clocks in its workspace."""


class Clocks:
    """The clocks of every Python program that has ``environment``, or ``INSIDE`` and ``folder`` as its workspace."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ".clocks"
        self._folder.mkdir()
        self._folder.chmod(0o755)
        shutil.copy(_CODE, self._folder)
        self.environment = {"PYTHONPATH": str(self._folder)}

    def set(self, **ahead: int) -> None:
        """Let clocks be so many seconds ahead of the machine's from now on: REALTIME, BOOTTIME or MONOTONIC."""
        draft = self._folder / "draft"
        draft.write_text("".join(f"{name} {seconds}\n" for name, seconds in ahead.items()))
        draft.chmod(0o644)  # the sandbox's user reads it too
        draft.replace(self._folder / "ahead")
