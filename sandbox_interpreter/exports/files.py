"""Host files that the user names, read and written so that code in the sandbox cannot make them others.

The folder in which sbi was started may be the workspace. There, code can put a link in the place of any name that it
guesses, so no link is followed; what is written appears whole, in place of whatever has its name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox.artifacts import ArtifactWriter, parts_below

MOST_BYTES = 1024**3
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
"""Without waiting for anybody to write into a pipe."""
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def write(folder: Path, files: Mapping[str, bytes], *, workspace: Path | None) -> list[Path]:
    """Return the paths of the ``files`` (relative names and their contents), once all are below ``folder``.

    Raises TransferError: the disk is full, a name or folder cannot be, or leads through a link.
    """
    written = []
    try:
        with ArtifactWriter(folder, workspace=workspace) as writer:
            for name, data in files.items():
                with writer.open(name) as file:
                    file.write(data)
                written.append(file.path)
    except (TransferError, ValueError) as error:
        raise TransferError(str(error), next_step="Name another place, without links.") from None
    return written


def open_to_read(path: Path, *, workspace: Path | None) -> BinaryIO:
    """Return the opened file. Raises TransferError: it is missing, no plain file, too large, or behind a link."""
    try:
        descriptor = _open(path, workspace)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            os.close(descriptor)
            raise TransferError(f"{path} is {'too large' if stat.S_ISREG(status.st_mode) else 'no plain file'}.",
                                next_step="Name another.")
    except (OSError, ValueError) as error:  # a name with a NUL in it is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise TransferError(f"{path} cannot be read: {reason}.", next_step="Look at its name.") from None
    return os.fdopen(descriptor, "rb")


def _open(path: Path, workspace: Path | None) -> int:
    place = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the very links that must not be
    parts = parts_below(place, workspace) if workspace else None
    if parts is None or workspace is None:
        return os.open(place, _READ)
    *folders, last = parts or (".",)
    folder = os.open(workspace, _FOLDER)
    for part in folders:
        try:
            inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    try:
        return os.open(last, _READ | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)
