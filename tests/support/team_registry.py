"""Debian's own registry, the reference implementation, on loopback: for what images do between members of a team."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER, PASSWORD = "member", "open sesame"
# bcrypt, the only form that the registry reads; nothing of anybody's is behind it.
_HTPASSWD = "member:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW\n"
_CACHE = Path(tempfile.gettempdir()) / "sbi-test-docker-registry"
_SECONDS = 20.0


def program() -> Path:
    """Return the registry's program, fetched once from the distribution's own packages. Fails where there is none."""
    installed = Path("/usr/bin/docker-registry")
    fetched = _CACHE / "usr" / "bin" / "docker-registry"
    if installed.exists() or fetched.exists():
        return installed if installed.exists() else fetched
    with tempfile.TemporaryDirectory(prefix="sbi-test-registry-") as folder:
        subprocess.run(["apt-get", "download", "docker-registry"], cwd=folder, check=True, capture_output=True)
        (package,) = Path(folder).glob("docker-registry_*.deb")
        subprocess.run(["dpkg-deb", "--extract", package, _CACHE], check=True, capture_output=True)
    return fetched


@contextmanager
def registry(folder: Path, *, password: bool = False) -> Iterator[str]:
    """Give the address of an empty registry that keeps its images below ``folder``; ``password``: it asks for one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    lines = ["version: 0.1", "log: {level: error}", f"http: {{addr: '{address}'}}",
             f"storage: {{filesystem: {{rootdirectory: '{folder}/images'}}, delete: {{enabled: true}}}}"]
    if password:
        (folder / "htpasswd").write_text(_HTPASSWD)
        lines.append(f"auth: {{htpasswd: {{realm: team, path: '{folder}/htpasswd'}}}}")
    (folder / "registry.yml").write_text("\n".join(lines))
    process = subprocess.Popen([program(), "serve", folder / "registry.yml"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        _wait(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/v2/", timeout=2):
                return
        except urllib.error.HTTPError:
            return  # it asks who we are
        except OSError:
            assert process.poll() is None, "the registry ended"
            assert time.monotonic() < until, "the registry does not answer"
            time.sleep(0.05)
