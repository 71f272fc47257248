"""Images that are made of a few pieces of the base image, for what an image may lack."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sandbox_interpreter.engines.docker import DockerEngine
from sandbox_interpreter.sandbox.outputs import Stream
from sandbox_interpreter.sandbox.sandbox import Sandbox

LEAST = ("sh", "cat", "dd", "head", "mkdir", "rm", "sleep", "tr")
"""A shell and what sbi needs beside it, where there is no Python."""
# The programs, the libraries that they are linked with, and further files; nothing else.
_PIECES = """cd /; tar -chf - $(for name in {programs}; do
    echo usr/bin/$name; ldd /usr/bin/$name | grep -o '/[^ ]*' | sed 's|^/||'; done | sort -u) {more}"""


@contextmanager
def made_of(engine: DockerEngine, programs: Sequence[str], folder: Path, name: str, more: str = "") -> Iterator[str]:
    """Yield the name of an image with these programs and, as words of tar, ``more``; it is gone afterwards.

    ``folder`` is a place to write to.
    """
    tar = folder / "root.tar"
    with Sandbox("base", engine=engine) as box:
        tar.write_bytes(b"".join(each.data for each in box.execute("shell", _PIECES.format(
            programs=" ".join(programs), more=more)) if isinstance(each, Stream) and each.name == "stdout"))
    engine.images().import_rootfs(tar, name)
    try:
        yield name
    finally:
        remove(engine, name)


def remove(engine: DockerEngine, image: str) -> None:
    """Remove an image once the engine has removed the containers that have ended."""
    while any(each.image == image for each in engine.list({})):
        time.sleep(0.1)
    engine.transport().remove(image)
