"""An image as its engine exports it, read in one pass: configuration, history, and the files of every layer.

Both forms of ``docker save`` are understood: folders with a layer.tar each, and the blobs of an OCI layout. What is in
the archive is hostile: nothing is unpacked, names are only compared, and what is kept has bounds.
"""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, NamedTuple, Self

from sandbox_interpreter.errors import EngineError
from sandbox_interpreter.verification import secrets

_MOST_ENTRIES = 3_000_000
_MOST_JSON = 16 * 1024 * 1024
_MOST_HEAD = 1024 * 1024
"""Bytes of what stands before a file in a layer: a long name, or attributes; Linux takes 64 KiB of those (xattr(7))."""
_HEADS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
          tarfile.GNUTYPE_LONGLINK)
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"  # OCI image specification, "Whiteouts"


class _Member(tarfile.TarInfo):
    """A member whose head is read into memory only if it is of a size that heads have."""

    def _proc_member(self, archive: tarfile.TarFile) -> Self:
        """Return the member that a head leads to. Raises ValueError.

        The library's own name, which every version comes through; ``frombuf`` is passed over by its later fixes.
        """
        if self.type in _HEADS and self.size > _MOST_HEAD:
            raise ValueError("a layer has a head that is too large")
        member: Self = super()._proc_member(archive)  # type: ignore[misc]  # not in the stubs
        return member


class Entry(NamedTuple):
    """One file of a layer: permission bits, size in bytes, and whether it is a folder or a link."""

    mode: int
    size: int
    is_folder: bool
    is_link: bool


@dataclass
class Layer:
    """The files that one layer adds or hides, by their paths from /, and what looks like a secret in them."""

    entries: dict[str, Entry] = field(default_factory=dict)
    found: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Archive:
    """A whole image: ``config`` is its OCI configuration, ``layers`` from the lowest to the highest."""

    config: dict[str, Any]
    layers: tuple[Layer, ...]

    @property
    def settings(self) -> dict[str, Any]:
        """Return what a container is started with: User, Env, Labels and the like."""
        return self.config.get("config") or {}

    @property
    def history(self) -> list[str]:
        """Return the commands that made the image, oldest first."""
        return [str(step.get("created_by", "")) for step in self.config.get("history") or ()]

    def files(self) -> dict[str, Entry]:
        """Return the files that a container sees: layer upon layer, without what upper ones take away."""
        seen: dict[str, Entry] = {}
        for layer in self.layers:
            gone, emptied = _hidden(layer)
            if gone or emptied:
                seen = {path: entry for path, entry in seen.items()
                        if path not in gone and emptied.union(gone).isdisjoint(_ancestors(path))}
            seen |= {path: entry for path, entry in layer.entries.items()
                     if not posixpath.basename(path).startswith(_WHITEOUT)}
        return seen


def read(pieces: Iterable[bytes]) -> Archive:
    """Return the image in an archive of ``ImageTransport.export``. Raises EngineError if that is none."""
    texts: dict[str, bytes] = {}
    layers: dict[str, Layer] = {}
    try:
        with (io.BufferedReader(_Pieces(pieces)) as stream,
              tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive):
            for member in archive:
                if member.isfile() and (file := archive.extractfile(member)):
                    _take(member, file, texts, layers)
                elif member.issym():  # layers that are the same are stored once
                    target = posixpath.normpath(posixpath.join(posixpath.dirname(member.name), member.linkname))
                    texts[member.name] = b"@" + target.encode()
        manifest = json.loads(texts["manifest.json"])[0]
        config = json.loads(texts[manifest["Config"]])
        found = [layers.get(_target(name, texts)) or Layer() for name in manifest["Layers"]]
    except (tarfile.TarError, ValueError, KeyError, IndexError, TypeError, EOFError, RecursionError) as error:
        raise EngineError(f"The engine's export of the image cannot be read: {error!r}.",
                          next_step="See whether the engine is well: sbi doctor") from None
    return Archive(config, tuple(found))


def _take(member: tarfile.TarInfo, file: IO[bytes], texts: dict[str, bytes], layers: dict[str, Layer]) -> None:
    head = file.read(512)
    if head[:1] in (b"{", b"["):
        if member.size > _MOST_JSON:
            raise ValueError(f"{member.name} is too large")
        texts[member.name] = head + file.read()
    elif head[257:262] == b"ustar" or head[:2] == b"\x1f\x8b" or head[:4] == b"\x28\xb5\x2f\xfd":
        with tarfile.open(fileobj=_Joined(head, file), mode="r|*", tarinfo=_Member) as tar:
            layers[member.name] = _layer(tar)


def _layer(tar: tarfile.TarFile) -> Layer:
    layer = Layer()
    for count, member in enumerate(tar):
        if count > _MOST_ENTRIES:
            raise ValueError("a layer has too many files")
        path = posixpath.normpath("/" + member.name.lstrip("/"))
        layer.entries[path] = Entry(member.mode, member.size, member.isdir(), member.issym())
        if member.isfile() and 0 < member.size <= secrets.MOST_BYTES and (file := tar.extractfile(member)):
            layer.found += [f"{path} holds {what}" for what in secrets.in_file(path, file.read())]
    return layer


def _hidden(layer: Layer) -> tuple[set[str], set[str]]:
    """Return the paths that a layer takes away, and the folders of which it takes away all that was in them."""
    gone: set[str] = set()
    emptied: set[str] = set()
    for path in layer.entries:
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            emptied.add(folder)
        elif name.startswith(_WHITEOUT):
            gone.add(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
    return gone, emptied


def _ancestors(path: str) -> Iterator[str]:
    while path != "/":
        path = posixpath.dirname(path)
        yield path


def _target(name: str, texts: dict[str, bytes]) -> str:
    linked = texts.get(name, b"")
    return linked[1:].decode() if linked.startswith(b"@") else name


class _Pieces(io.RawIOBase):
    """A file to read from what an iterator yields."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class _Joined(io.RawIOBase):
    """A file whose first bytes were read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._file = head, rest

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
            return taken
        return self._file.read(size)
