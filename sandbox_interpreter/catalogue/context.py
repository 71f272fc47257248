"""What goes into the build of an image: its files as a tar archive, and a digest that changes when they do."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from sandbox_interpreter.catalogue.index import BundledImage, lineage

# They describe and prove the image; changing them does not change it.
NOT_IN_THE_IMAGE = {"image.yaml", "verify"}


def files(folder: Path) -> dict[str, bytes]:
    """Return the build files in an image's folder, by name relative to it."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {name: path.read_bytes() for path in paths
            if (name := path.relative_to(folder).as_posix()) not in NOT_IN_THE_IMAGE}


def digest(image: BundledImage) -> str:
    """Return a digest of the build files of ``image`` and of all it stands on."""
    state = hashlib.sha256()
    for each in lineage(image):
        for name, data in files(each.folder).items():
            state.update(f"{each.name}/{name}\0{len(data)}\0".encode())
            state.update(data)
    return f"sha256:{state.hexdigest()}"


def archive(contents: Mapping[str, bytes]) -> io.BytesIO:
    """Return a tar archive of the files; times and owners are left out, so that equal files hit the engine's cache."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            # A wheel does not keep modes everywhere; what is a script shows in its first bytes.
            entry.mode = 0o755 if data.startswith(b"#!") else 0o644
            tar.addfile(entry, io.BytesIO(data))
    buffer.seek(0)
    return buffer
