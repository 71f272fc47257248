"""sbi serve as a process of its own."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.sbi_process import SECONDS, Commands

FOREVER = "import time\nn = 0\nwhile True:\n    print(n, flush=True)\n    n += 1\n    time.sleep(0.1)"
"""Counts in ``n`` until it is stopped."""


class Server:
    """A running ``sbi serve``."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stderr is not None
        self.said: list[str] = []
        for line in process.stderr:
            self.said.append(line.decode())
            if "Serving on " in self.said[-1]:
                self.url = self.said[-1].partition("Serving on ")[2].split()[0]
                break
        else:
            pytest.fail(f"it never served: {''.join(self.said)}")
        # Read on, so that it never waits for us.
        self._reader = threading.Thread(target=lambda: self.said.extend(map(bytes.decode, process.stderr or ())))
        self._reader.start()

    def client(self, token: str = "") -> httpx.Client:
        """Return a client, which shows ``token`` if there is one."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS, trust_env=False)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Return its exit code once the signal has ended it."""
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code


@contextmanager
def serving(sbi: Commands, *flags: str, **options: Any) -> Iterator[Server]:
    """Give a server; afterwards SIGTERM has ended it and nothing of it is left."""
    server = Server(sbi.start("serve", "--port", "0", *flags, **options))
    try:
        yield server
    finally:
        if server.process.poll() is None:
            assert server.stop() == 143
    assert sbi.left_behind() == []
    assert "Traceback" not in "".join(server.said)


def script(folder: Path, *turns: dict[str, str]) -> str:
    """Return the name of a model that says these turns, again and again."""
    path = folder / "script.yaml"
    path.write_text(yaml.safe_dump({"turns": list(turns), "repeat": True}))
    return f"scripted:{path}"


def run(client: httpx.Client, code: str, **more: Any) -> Any:
    """Return the result of ``code``."""
    response = client.post("/run", json={"code": code, **more})
    assert response.status_code == 200, response.text
    return response.json()
