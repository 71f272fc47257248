"""A Docker daemon of the tests' own, beside the one they run on: to be stopped, frozen and killed at will.

It has its own data and exec roots, socket and pid file, makes no bridge and touches no firewall, so that whatever
happens to it, the machine's engine and its containers notice nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.errors import EngineUnreachable

START_SECONDS = 40
STOP_SECONDS = 20


def reason_against() -> str:
    """Return why no daemon can be started here; "" if one can."""
    if os.geteuid() != 0:
        return "a second Docker daemon needs root"
    return "" if shutil.which("dockerd") else "a second Docker daemon needs dockerd"


class OwnEngine:
    """A daemon; ``close`` ends it and removes all that was its. To it, the folder ``unseen`` is empty.

    With a ``bridge`` of its own it is in the machine's network, and reaches what listens on loopback.
    """

    def __init__(self, *options: str, unseen: Path | None = None, bridge: str | None = None) -> None:
        self._unseen = unseen
        self._network = [] if bridge else ["unshare", "--net"]
        self._bridge = bridge or "none"
        self.folder = Path(tempfile.mkdtemp(prefix="engine-"))
        self.address = f"unix://{self.folder}/api.sock"
        self.log = self.folder / "log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the daemon's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start the daemon, on what an earlier one left; return once it answers."""
        assert self._process is None
        folder = self.folder
        with self.log.open("ab") as log:
            # In a network of its own: with --bridge=none it removes docker0, which may be another engine's.
            self._process = subprocess.Popen(
                [*self._network, *self._hidden(), "dockerd", "-H", self.address, "--data-root", f"{folder}/data",
                 "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid", f"--bridge={self._bridge}",
                 "--iptables=false", "--ip6tables=false", "--ip-forward=false", *self._options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        give_up = time.monotonic() + START_SECONDS
        while not self.answers():
            assert self._process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < give_up, self.log.read_text()[-2000:]
            time.sleep(0.05)

    def _hidden(self) -> list[str]:
        """Return the words that start a program for which a folder of this machine is not there."""
        if self._unseen is None:
            return []
        return ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(self._unseen)]

    def restart(self) -> None:
        """Let the daemon go on if it is frozen, and start it if it is down."""
        if self._process is None:
            self.start()
        else:
            self.signal(signal.SIGCONT)

    def answers(self) -> bool:
        """Tell whether the daemon serves its API."""
        try:
            DockerEngine(self.address).close()
        except EngineUnreachable:
            return False
        return True

    def client(self) -> DockerEngine:
        """Return a client of it, to be closed by the caller."""
        return DockerEngine(self.address)

    def load(self, image: str, source: DockerEngine) -> None:
        """Copy an image from another engine."""
        client = self.client()
        try:
            load = client.client.load_image  # what it returns is to be read to its end, or the load may end early
            deque(load(source.client.get_image(image)), maxlen=0)  # type: ignore[no-untyped-call]  # SDK
        finally:
            client.close()

    def signal(self, number: int) -> None:
        """Send the daemon a signal: SIGSTOP freezes it, SIGCONT lets it go on."""
        os.kill(self.pid, number)

    def stop(self, *, kill: bool = False) -> None:
        """End the daemon in good order, which ends its containers; with ``kill`` as a crash does."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Where nobody reaps it, the containerd that ended with a killed daemon looks alive to the next one.
        (self.folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)

    def close(self) -> None:
        """End the daemon and its helpers, and remove its folder."""
        self.stop()
        for pid in self._helpers():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for mount in reversed(self._mounts()):
            subprocess.run(["umount", "--lazy", mount], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _helpers(self) -> list[int]:
        """Return the processes that a killed daemon left: its containerd, and the shims of its containers."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdecimal() and f"{self.folder}/".encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
        return found

    def _mounts(self) -> list[str]:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        return [line.split()[1] for line in lines if line.split()[1].startswith(f"{self.folder}/")]
