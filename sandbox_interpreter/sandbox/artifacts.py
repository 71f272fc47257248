"""Writing what comes out of a sandbox into a host folder. Names, counts and sizes are the guest's, so all are hostile.

Every step is taken relative to a descriptor of the folder before it and follows no link: nothing that the guest has
planted, or plants meanwhile, leads outside.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox.names import check_name

MOST_FILES = 10_000
MOST_BYTES = 16 * 1024**3
_ANY_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER = _ANY_FOLDER | os.O_NOFOLLOW
_OLD_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE = 256 * 1024
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ArtifactWriter:
    """Writes files below one host folder, which is made if need be. A context manager.

    ``workspace`` is the folder that guest code can write to, if any: where ``root`` lies in it, no link below it is
    followed either. ``most_files`` and ``most_bytes`` bound everything that one writer writes. What is new belongs to
    ``owner`` (uid and gid), if one is named. Raises TransferError.
    """

    def __init__(self, root: Path, *, workspace: Path | None = None, owner: tuple[int, int] | None = None,
                 most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> None:
        self.root = root
        self.owner = owner
        self._files_left = most_files
        self._bytes_left = most_bytes
        try:
            self._folder = _open_root(root, workspace)
        except OSError as error:
            raise Unwritable(root, error) from None

    def open(self, name: str) -> ArtifactFile:
        """Return the file ``name`` to write to; it appears, in place of any other of that name, once it is committed.

        Raises TransferError: the name is refused, leads through a link, or there are too many files.
        """
        *parents, last = check_name(name)
        self._files_left -= 1
        if self._files_left < 0:
            raise TransferError(f"The sandbox offered too many files for {self.root}.",
                                next_step="Narrow the pattern, or pack them into one file in the sandbox.")
        try:
            folder = _descend(os.dup(self._folder), parents, self.owner)
        except OSError as error:
            raise Unwritable(self.root / name, error) from None
        return ArtifactFile(self, folder, last, self.root / name)

    def folder(self, name: str) -> None:
        """Make the folder ``name``, unless it is there. Raises TransferError as ``open`` does."""
        parts = check_name(name)
        try:
            os.close(_descend(os.dup(self._folder), parts, self.owner))
        except OSError as error:
            raise Unwritable(self.root / name, error) from None

    def spend(self, size: int) -> None:
        """Count ``size`` bytes towards the bound. Raises TransferError once it is passed."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            raise TransferError(f"The sandbox offered too many bytes for {self.root}.",
                                next_step="Narrow the pattern, or mount the folder as the workspace: -w DIR")

    def close(self) -> None:
        """Let go of the folder."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ArtifactFile:
    """One file on its way out. As a context manager it is committed at the end, or discarded after an exception."""

    def __init__(self, writer: ArtifactWriter, folder: int, name: str, path: Path) -> None:
        self.path = path
        self._writer = writer
        self._folder = folder
        self._name = name
        self.status: os.stat_result | None = None
        """What became of it, once it is committed."""
        self._draft = f".{os.urandom(8).hex()}.part"
        try:
            self._file = os.open(self._draft, _NEW_FILE, 0o666, dir_fd=folder)
            if writer.owner:
                os.fchown(self._file, *writer.owner)
        except OSError as error:
            os.close(folder)
            raise Unwritable(path, error) from None

    def write(self, data: bytes) -> None:
        """Write all of ``data``. Raises TransferError: the disk is full, or the writer's bound is passed."""
        self._writer.spend(len(data))
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view):]
        except OSError as error:
            raise Unwritable(self.path, error) from None

    def standing(self) -> os.stat_result | None:
        """Return what has the file's name now; None if nothing has."""
        try:
            return os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except OSError:
            return None

    def equals_standing(self) -> bool:
        """Tell whether what has the file's name now is a file of the same content."""
        try:
            with (os.fdopen(os.open(self._name, _OLD_FILE, dir_fd=self._folder), "rb") as old,
                  os.fdopen(os.open(self._draft, _OLD_FILE, dir_fd=self._folder), "rb") as new):
                if not stat.S_ISREG(os.fstat(old.fileno()).st_mode):
                    return False
                while piece := new.read(_PIECE):
                    if old.read(len(piece)) != piece:
                        return False
                return not old.read(1)
        except OSError:
            return False

    def permit(self, mode: int | None, *, executable: bool) -> None:
        """Give it the permissions ``mode``, or those of a new file; whoever may read it may execute it, if so told."""
        with suppress(OSError):  # file systems without permissions
            wanted = os.fstat(self._file).st_mode & 0o777 if mode is None else mode & 0o777
            os.fchmod(self._file, wanted | (wanted & 0o444) >> 2 if executable else wanted & ~0o111)

    def commit(self) -> Path:
        """Return the path of the finished file, which now has its name. Raises TransferError."""
        try:
            os.rename(self._draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            self.discard()
            raise Unwritable(self.path, error) from None
        self.status = os.fstat(self._file)
        self._close()
        return self.path

    def commit_beside(self, ending: str) -> Path:
        """Return the path of the finished file, whose name has ``ending`` added: what has its own name stays."""
        wanted = self._name
        for number in itertools.count(1):
            self._name = f"{wanted}{ending}{f'-{number}' if number > 1 else ''}"
            if self.standing() is None:
                break
        self.path = self.path.with_name(self._name)
        return self.commit()

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(OSError):  # a full or vanished folder must not hide why the file is discarded
            os.unlink(self._draft, dir_fd=self._folder)
        self._close()

    def _close(self) -> None:
        os.close(self._file)
        os.close(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is None:
            self.commit()
        else:
            self.discard()


class Unwritable(TransferError):
    """The host refused one file; ``reason`` is the system's."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} could not be written: {error.strerror}.",
                         next_step="Choose another folder, free of links: --out DIR")
        self.reason = error.strerror or str(error)


def _open_root(root: Path, workspace: Path | None) -> int:
    place = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow the very links that must not be
    if workspace is not None and (parts := parts_below(place, workspace)) is not None:
        return _descend(os.open(workspace, _ANY_FOLDER), parts)
    place.mkdir(parents=True, exist_ok=True)
    return os.open(place, _ANY_FOLDER)


def parts_below(place: Path, workspace: Path) -> tuple[str, ...] | None:
    """Return the names that lead from ``workspace`` to an absolute path; None if it lies outside. None is followed."""
    status = workspace.stat()
    for above in reversed((place, *place.parents)):
        if above.exists() and os.path.samestat(above.stat(), status):
            return place.relative_to(above).parts
    return None


def _descend(folder: int, parts: Sequence[str], owner: tuple[int, int] | None = None) -> int:
    """Return a descriptor of the folder ``parts`` below ``folder``, making what is missing; ``folder`` is closed."""
    for part in parts:
        try:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
                if owner:
                    os.chown(part, *owner, dir_fd=folder, follow_symlinks=False)
            inner = os.open(part, _FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder
