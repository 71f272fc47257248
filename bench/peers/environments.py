"""A virtual environment for each peer, in the user's cache folder, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.roster import Peer
from sandbox_interpreter.config.folders import home_folder

_SECONDS = 900


class Unavailable(Exception):
    """A peer cannot be run; the text is the reason."""


def python_of(peer: Peer) -> str:
    """Return the Python that has the peer installed, installing it where it is not. Raises Unavailable."""
    if not peer.requirement:
        return sys.executable
    place = _folder() / peer.environment
    mark = place / "made-of"
    wanted = f"{peer.requirement} on Python {sys.version}\n"
    if not mark.exists() or mark.read_text("utf-8") != wanted:
        print(f"Installing {peer.requirement}", file=sys.stderr, flush=True)
        try:
            _run(sys.executable, "-m", "venv", "--clear", str(place))
            _run(str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *peer.requirement.split())
        except Unavailable:
            shutil.rmtree(place, ignore_errors=True)
            raise
        mark.write_text(wanted, "utf-8")
    return str(place / "bin" / "python")


def _folder() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home_folder() / ".cache")
    return cache / "sandbox-interpreter" / "bench-peers"


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"it could not be installed: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["pip said nothing"]
        raise Unavailable(f"it could not be installed: {said[-1]}")
