"""sbi as a user runs it: a process of its own, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.launch import LABEL

SBI = str(Path(sys.executable).with_name("sbi"))
SECONDS = 100.0


@dataclass(frozen=True)
class Ended:
    """What a process came to."""

    code: int
    out: bytes
    err: bytes

    @property
    def said(self) -> str:
        """Return stderr as text."""
        return self.err.decode()


@dataclass
class Commands:
    """Starts sbi in a folder of its own, and knows what its processes have left."""

    folder: Path
    temporary: Path
    engine: DockerEngine
    pids: list[int] = field(default_factory=list)

    def start(self, *words: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Return a running ``sbi WORDS`` with pipes; ``env`` is added to the environment."""
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = os.environ | {"TMPDIR": str(self.temporary)} | (env or {})
        started = subprocess.Popen([SBI, *words], cwd=self.folder, env=environment, **(pipes | options))
        self.pids.append(started.pid)
        return started

    def __call__(self, *words: str, stdin: bytes = b"", env: dict[str, str] | None = None, **options: Any) -> Ended:
        """Return what ``sbi WORDS`` came to."""
        process = self.start(*words, env=env, **options)
        out, err = process.communicate(stdin, timeout=SECONDS)
        return Ended(process.returncode, out, err)

    def containers(self) -> list[str]:
        """Return the names of the containers that these processes made and that are still there."""
        owners = {f"/{pid}/" for pid in self.pids}
        return [info.name for info in self.engine.list({f"{LABEL}.owner": ""})
                if any(owner in info.labels[f"{LABEL}.owner"] for owner in owners)]

    def left_behind(self) -> list[str]:
        """Return containers and temporary folders that outlive their process; a removal under way has a second."""
        for _ in range(20):
            if not (left := [*self.containers(), *(path.name for path in self.temporary.iterdir())]):
                return []
            time.sleep(0.05)
        return left
