"""Files on their way to nodes: small ones go with the call, others into Ray's object store, once for many tasks."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from sandbox_interpreter.cluster import rays
from sandbox_interpreter.cluster.orders import INLINE, PIECE

MOST_KEPT = 256 * 1024 * 1024
"""Bytes that stay in the object store for the next task that is given the same files."""
_Key = tuple[int, int, int, int]


@dataclass
class Shelf:
    """Remembers what is in the object store. Thread-safe."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: OrderedDict[_Key, Sequence[Any]] = field(default_factory=OrderedDict)

    def pieces(self, source: BinaryIO) -> Sequence[Any]:
        """Return what a slot reads the file from: bytes, or references. Raises the file's OSError."""
        first = source.read(INLINE)
        if len(first) < INLINE:
            return [first]
        key = _key(source)
        with self._lock:
            if key and key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        pieces = [first]
        while data := source.read(PIECE):
            pieces.append(rays.put(data))
        if key and key[2] <= MOST_KEPT:
            self._keep(key, pieces)
        return pieces

    def _keep(self, key: _Key, pieces: Sequence[Any]) -> None:
        with self._lock:
            self._kept[key] = pieces
            while sum(size for _, _, size, _ in self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def _key(source: BinaryIO) -> _Key | None:
    """Return what a file is known again by as long as nobody writes to it; None for what is no plain file."""
    try:
        status = os.fstat(source.fileno())
    except (OSError, AttributeError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
