"""Files in and out of a sandbox over its channel. Names and sizes that come out are the guest's word, no more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sandbox_interpreter.agent.frames import HOST_PAYLOAD, MOST_LISTING
from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox.channel import Channel
from sandbox_interpreter.sandbox.inbox import WINDOW, Inbox

ANSWER_SECONDS = 60.0
"""Seconds of waiting after which a transfer is given up; each ``PROGRESS`` bytes that come begin them anew."""
PROGRESS = 64 * 1024


def upload(channel: Channel, source: Path, target: str) -> None:
    """Copy a host file to the path ``target`` inside the sandbox (relative to /workspace). Raises TransferError."""
    try:
        with source.open("rb") as file:
            put(channel, file, target)
    except OSError as error:
        raise TransferError(f"{source} could not be read: {error.strerror}.",
                            next_step="Check its path and permissions.") from None


def put(channel: Channel, source: BinaryIO, target: str) -> None:
    """Copy what ``source`` gives to the path ``target`` inside the sandbox. Raises TransferError, and its OSError."""
    with contextlib.closing(channel.open()) as inbox:
        data = source.read(HOST_PAYLOAD)
        while True:
            following = source.read(HOST_PAYLOAD)
            inbox.send("file_put", data, path=target, **({"more": True} if following else {}))
            if not following:
                break
            data = following
        for _ in pieces(inbox, target, "file_done"):
            pass


def download(channel: Channel, pattern: str, folder: Path, *, workspace: Path | None) -> list[Path]:
    """Copy the workspace's files that match a glob below ``folder``; return their host paths.

    ``workspace`` is the folder that guest code can write to. Raises TransferError: a name that would lead outside, a
    full disk, too many files; UsageError for a pattern that does not stay in the workspace.
    """
    from sandbox_interpreter.sandbox.artifacts import ArtifactWriter

    copied = []
    with ArtifactWriter(folder, workspace=workspace) as writer:
        for name in names(channel, pattern):
            with writer.open(name) as file:
                for piece in get(channel, name):
                    file.write(piece)
            copied.append(file.path)
    return copied


def names(channel: Channel, pattern: str) -> Iterator[str]:
    """Yield the names of the workspace's regular files that match a glob.

    Raises TransferError, also for a name that could lead outside; UsageError for such a pattern.
    """
    from sandbox_interpreter.sandbox.names import asks_for, check_name, check_pattern

    wanted = check_pattern(pattern)
    for name in _listed(channel, wanted):
        check_name(name)
        if asks_for(wanted, name):  # a guest may offer what nobody asked for
            yield name


def _listed(channel: Channel, pattern: str) -> Iterator[str]:
    """Yield the names that the guest gives for a pattern. Raises TransferError."""
    with contextlib.closing(channel.open()) as inbox:
        inbox.send("file_list", pattern=pattern)
        listing = bytearray()
        for piece in pieces(inbox, pattern, "file_names"):
            listing += piece
            if len(listing) > MOST_LISTING:
                raise TransferError(f"Too many files match {pattern!r}.", next_step="Use a narrower pattern.")
    for name in listing.split(b"\0"):
        if name:
            yield name.decode("utf-8", "surrogateescape")


def get(channel: Channel, name: str) -> Iterator[bytes]:
    """Yield the bytes of a file of the workspace. Raises TransferError."""
    with contextlib.closing(channel.open()) as inbox:
        inbox.send("file_get", path=name)
        inbox.send("credit", bytes=WINDOW)
        yield from pieces(inbox, name, "file_data")


class Refused(TransferError):
    """The agent says that it cannot; ``reason`` is its own, made printable."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what!r} could not be copied: {reason}.", next_step="Check its path and free space.")
        self.reason = reason


def pieces(inbox: Inbox, what: str, kind: str) -> Iterator[bytes]:
    """Yield the payloads of the frames that ``kind`` names, to the last. The reader's own time does not count.

    Raises Refused; TransferError where nothing answers, or something else.
    """
    patience, owed = ANSWER_SECONDS, PROGRESS
    while True:
        began = time.monotonic()
        frame = inbox.get(max(patience, 0.0))
        patience -= time.monotonic() - began
        if frame is None:
            raise TransferError(f"The sandbox stopped answering about {what!r}.", next_step="Run it again.")
        if frame.type == "file_done":
            _check(frame.header["error"], what)
            return
        if frame.type != kind:
            raise TransferError(f"The sandbox gave a {frame.type} for {what!r}.", next_step="Run it again.")
        owed -= len(frame.payload)
        if owed <= 0:
            patience, owed = ANSWER_SECONDS, PROGRESS
        yield frame.payload
        inbox.consumed(frame)
        if kind == "file_names" and not frame.header.get("more"):
            return


def _check(error: str | None, what: str) -> None:
    if error is not None:
        raise Refused(what, "".join(letter if letter.isprintable() else "?" for letter in error[:300]))
