"""A sandbox on a node of the cluster, as the driver sees it: what ``Sandbox`` does, done there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sandbox_interpreter.cluster import rays
from sandbox_interpreter.cluster.orders import Piece, Taken
from sandbox_interpreter.cluster.runs import ClusterRun
from sandbox_interpreter.errors import (
    EngineUnreachable,
    NodeLost,
    SandboxClosed,
    SandboxInterpreterError,
    TransferError,
)
from sandbox_interpreter.messages import Chunk
from sandbox_interpreter.sandbox import chunks
from sandbox_interpreter.sandbox.artifacts import ArtifactWriter
from sandbox_interpreter.sandbox.names import check_name, check_pattern, matches

if TYPE_CHECKING:
    from sandbox_interpreter.cluster.shelf import Shelf
    from sandbox_interpreter.cluster.slots import Held, Slots
    from sandbox_interpreter.sandbox.gate import Record
    from sandbox_interpreter.sandbox.submit import Script


class ClusterSandbox:
    """Runs code in a container of its own on a node; a context manager. ``Cluster.sandbox`` makes it.

    Each method does what that of ``Sandbox`` does, and raises NodeLost besides if the node is gone.
    """

    def __init__(self, slots: Slots, shelf: Shelf, held: Held, number: int, *, record: Record | None,
                 notify: Callable[[str], object]) -> None:
        self._slots = slots
        self._shelf = shelf
        self._held = held
        self._number = number
        self._record = record
        self._notify = notify
        self._lock = threading.Lock()
        self._closed = self._lost = False
        self._run: ClusterRun | None = None

    @property
    def node(self) -> str:
        """Return the address of the node that the sandbox is on."""
        return self._held.facts.address

    def __enter__(self) -> ClusterSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the container, unless it runs."""
        self._ask("start")

    def close(self, *, wait: bool = True) -> None:
        """End the container; harmless when repeated."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._lost:
            return
        try:
            self._held.ask("call", self._number, "close", wait)
        except SandboxInterpreterError as error:
            # Whatever is left there goes with the slot, by the node's own watch.
            self._slots.drop(self._held, str(error) if isinstance(error, EngineUnreachable) else "")
        else:
            self._slots.give_back(self._held)

    # --- running ---

    def execute(self, language: str, code: str, *, script: Script | None = None, timeout: float | None = None,
                active_line: bool = False) -> ClusterRun:
        """Return a run of ``code`` that has begun; iterate it for outputs. Nobody is asked for input there."""
        number = self._ask("execute", language, code, script, timeout, active_line)
        self._run = ClusterRun(self._ask, number, self._told)
        return self._run

    def run(self, language: str, code: str, *, timeout: float | None = None) -> Iterator[Chunk]:
        """Yield the output of ``code`` as chunks; closing the iterator interrupts the run."""
        return chunks.chunks_of(self.execute(language, code, timeout=timeout, active_line=True))

    def interrupt(self) -> None:
        """Interrupt the run that goes on, if any: SIGINT, then harder."""
        if self._run is not None:
            self._run.interrupt()

    def reset(self) -> None:
        """Forget every kernel's state. Files stay."""
        self._ask("reset")

    def wipe(self) -> None:
        """Forget every kernel's state, and empty the workspace."""
        self._ask("wipe")

    # --- files ---

    def upload(self, source: Path | BinaryIO, target: str | None = None) -> None:
        """Copy a file of the driver's, or what an open one gives, into the sandbox, through Ray's object store."""
        if not isinstance(source, Path):
            self._ask("upload", self._shelf.pieces(source), target or Path(source.name).name)
            return
        try:
            with source.open("rb") as file:
                pieces = self._shelf.pieces(file)
        except OSError as error:
            raise TransferError(f"{source} could not be read: {error.strerror}.",
                                next_step="Check its path and permissions.") from None
        self._ask("upload", pieces, target or source.name)

    def files(self, pattern: str) -> list[str]:
        """Return the names of the workspace's files that match a glob; judged there, and here once more."""
        wanted = check_pattern(pattern)
        names: list[str] = self._ask("files", wanted)
        for name in names:
            check_name(name)
        return [name for name in names if matches(wanted, name)]

    def download(self, pattern: str, folder: Path) -> list[Path]:
        """Copy the workspace's files that match a glob below a folder of the driver's; return their paths there."""
        copied = []
        with ArtifactWriter(folder) as writer:
            for name in self.files(pattern):
                with writer.open(name) as file:
                    for data in self._pieces(name):
                        file.write(data)
                copied.append(file.path)
        return copied

    def _pieces(self, name: str) -> Iterator[bytes]:
        piece: Piece = self._ask("read", name)
        yield piece.data
        while piece.more is not None:
            piece = self._ask("more", piece.more)
            yield piece.data

    # --- the node ---

    def _ask(self, name: str, *arguments: Any) -> Any:
        """Return what the sandbox answers. Raises SandboxClosed once it is closed, NodeLost, and its own errors."""
        if self._closed:
            raise SandboxClosed("This sandbox was closed.", next_step="Make a new one.")
        try:
            return self._held.ask("call", self._number, name, *arguments)
        except NodeLost:
            self._lose("")
            raise
        except EngineUnreachable as error:
            self._lose(str(error))
            raise rays.lost(self.node, str(error)) from None

    def _lose(self, why: str) -> None:
        self._lost = True
        self._slots.drop(self._held, why)

    def _told(self, taken: Taken) -> None:
        """Hand on what a node tells besides outputs."""
        for decision in taken.decisions if self._record else ():
            assert self._record
            self._record(decision)
        for text in taken.notices:
            with suppress(Exception):  # a notice is worth no run
                self._notify(text)
