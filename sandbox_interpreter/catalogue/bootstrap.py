"""The image that everything is built from, without a registry: a minimal Debian made from the host's own mirror."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sandbox_interpreter.catalogue import mirrors
from sandbox_interpreter.catalogue.certificates import Certificates
from sandbox_interpreter.engines.image_base import ImageStore, Progress
from sandbox_interpreter.errors import BuildFailed, EngineError, ImageMissing

_STAGES = 14
"""What mmdebstrap 1.x says on the way to a minbase archive, as lines that begin with ``I:``."""

_LEFT_OUT = ("doc", "info", "lintian", "locale", "man")
_KEPT = "/usr/share/doc/*/copyright"  # licences ask for it, and Debian's own slim images keep it


def provide(reference: str, store: ImageStore, certificates: Certificates | None = None) -> Iterator[Progress]:
    """Make ``reference`` present, yielding progress.

    The engine's own image is taken, else a pulled one, else a bootstrapped one, which only ``debian:SUITE-slim``
    can be. Raises ImageMissing, EngineError or BuildFailed.
    """
    if store.image(reference):
        return
    suite = suite_of(reference)
    yield Progress(f"Pulling {reference}")
    try:
        yield from store.pull(reference)
    except ImageMissing as missing:
        if suite is None:
            raise
        yield Progress(str(missing))
        yield from bootstrap(suite, reference, store, certificates)


def suite_of(reference: str) -> str | None:
    """Return the Debian suite in ``debian:SUITE-slim``, or None for any other reference."""
    name, _, tag = reference.partition(":")
    return tag.removesuffix("-slim") if name == "debian" and tag.endswith("-slim") else None


def bootstrap(suite: str, reference: str, store: ImageStore, certificates: Certificates | None) -> Iterator[Progress]:
    """Make a minimal Debian from the host's mirror and import it as ``reference``, yielding progress.

    Raises EngineError when mmdebstrap or a mirror is missing, BuildFailed when mmdebstrap fails.
    """
    if not shutil.which("mmdebstrap"):
        raise EngineError(f"{reference} cannot be pulled, and there is no mmdebstrap to make it with.",
                          next_step="Install it: apt-get install mmdebstrap")
    sources = mirrors.host_mirrors()
    yield Progress(f"Making {reference} from {sources.archive} (about half a minute)")
    with tempfile.TemporaryDirectory(prefix="sbi-bootstrap-") as folder:
        tar = Path(folder) / "rootfs.tar"
        ca_file = Path(folder) / "ca.crt"
        if certificates:
            ca_file.write_bytes(certificates.pem)
        yield from _run(command(suite, tar, sources, ca_file if certificates else None))
        yield Progress(f"Importing {reference}")
        store.import_rootfs(tar, reference)


def command(suite: str, tar: Path, sources: mirrors.Mirrors, ca_file: Path | None) -> list[str]:
    """Return the mmdebstrap command line; ``ca_file`` is trusted for https mirrors and does not stay in the result."""
    options = [f"path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT] + [f"path-include={_KEPT}"]
    trust = [f'--setup-hook=echo \'Acquire::https::CaInfo "{ca_file}";\' >"$1"/etc/apt/apt.conf.d/99build-host',
             '--customize-hook=rm "$1"/etc/apt/apt.conf.d/99build-host'] if ca_file else []
    return ["mmdebstrap", "--variant=minbase", "--aptopt=Acquire::Languages none",
            *(f"--dpkgopt={option}" for option in options), *trust, suite, str(tar), *sources.lines(suite)]


def _run(words: list[str]) -> Iterator[Progress]:
    said: list[str] = []
    stage = 0
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,  # noqa: S603  # no shell
                          text=True, errors="replace") as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip())
            stage += said[-1].startswith("I:")
            yield Progress(said[-1], min(stage, _STAGES), _STAGES)
    if process.returncode:
        raise BuildFailed("\n".join(["mmdebstrap could not make the base system:", *said[-20:]]),
                          next_step="Check that the mirror has this suite, and update debian-archive-keyring.")
