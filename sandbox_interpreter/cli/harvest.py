"""What a run leaves on the host: artifacts that were asked for, and pictures that its code drew."""

from __future__ import annotations

from pathlib import Path

from sandbox_interpreter.cli import report
from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import UsageError
from sandbox_interpreter.sandbox.artifacts import ArtifactWriter
from sandbox_interpreter.sandbox.sandbox import Sandbox


class Harvest:
    """Takes pictures while a run goes on, and artifacts after it. ``paths`` is what was written, in that order.

    Raises UsageError where --out names something that is no folder.
    """

    def __init__(self, box: Sandbox, settings: Settings) -> None:
        self.paths: list[Path] = []
        self._box = box
        self._patterns = settings.artifact
        self._out = Path(settings.out).expanduser() if settings.out else None
        self._pictures = 0
        if self._out and self._out.exists() and not self._out.is_dir():
            raise UsageError(f"--out {settings.out!r} is a file, not a folder.", next_step="Name a folder, new or old.")

    def save(self, kind: str, data: bytes) -> None:
        """Write one picture to the folder of --out as figure-N; without one, say how to keep pictures."""
        self._pictures += 1
        if self._out is not None:
            with ArtifactWriter(self._out, workspace=self._box.workspace) as writer, \
                    writer.open(f"figure-{self._pictures}.{kind}") as file:
                file.write(data)
            self.paths.append(file.path)
        elif self._pictures == 1:
            report.note("The code drew a picture. To keep pictures: --out DIR")

    def collect(self) -> None:
        """Copy the files that --artifact asks for. Raises TransferError."""
        for pattern in self._patterns:
            assert self._out is not None  # Settings without it were refused
            copied = self._box.download(pattern, self._out)
            self.paths.extend(copied)
            if not copied:
                report.note(f"No file in /workspace matches {pattern!r}.")
