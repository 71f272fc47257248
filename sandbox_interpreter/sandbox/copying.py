"""Many files in and out of a sandbox at once, so that a far engine's way is gone once and not for each of them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from typing import BinaryIO, NamedTuple

from sandbox_interpreter.agent.frames import HOST_PAYLOAD
from sandbox_interpreter.agent.tree import MOST_BYTES as MOST_LISTING
from sandbox_interpreter.errors import TransferError
from sandbox_interpreter.sandbox import transfer, tree
from sandbox_interpreter.sandbox.channel import Channel
from sandbox_interpreter.sandbox.inbox import WINDOW, Inbox
from sandbox_interpreter.sandbox.tree import Entry

_PUTS = 64
"""Entries on their way in whose end is not yet known."""
_GETS = 8
"""Files on their way out; each may take half a window of memory."""


class Failed(NamedTuple):
    """Why one entry was not copied."""

    name: str
    reason: str


def entries(channel: Channel) -> dict[str, Entry]:
    """Return what is in the workspace of a sandbox, as its agent says. Raises TransferError, ChannelError."""
    listing = bytearray()
    with closing(channel.open()) as inbox:
        inbox.send("tree_list")
        inbox.send("credit", bytes=WINDOW)
        for piece in transfer.pieces(inbox, "/workspace", "file_data"):
            listing += piece
            if len(listing) > MOST_LISTING:
                raise TransferError("There are too many files in the sandbox's /workspace to copy.",
                                    next_step="Pack them into one file there.")
    return tree.there(bytes(listing))


def put(channel: Channel, root: int, wanted: Sequence[tuple[str, Entry]],
        sent: Callable[[int], object]) -> Iterator[Failed]:
    """Copy entries from below the folder ``root`` (a descriptor) into the workspace; yield those that fail.

    ``sent`` is told the bytes of each. Raises ChannelError, and TransferError where nothing answers.
    """
    waiting: deque[tuple[str, Inbox]] = deque()
    try:
        for name, entry in wanted:
            inbox = channel.open()
            waiting.append((name, inbox))
            try:
                _send(inbox, root, name, entry)
            except OSError as error:
                waiting.pop()[1].close()
                yield Failed(name, error.strerror or str(error))
            sent(entry.size)
            if len(waiting) >= _PUTS:
                yield from _done(*waiting.popleft())
        while waiting:
            yield from _done(*waiting.popleft())
    finally:
        for _, inbox in waiting:
            inbox.close()


def _send(inbox: Inbox, root: int, name: str, entry: Entry) -> None:
    if entry.kind == "d":
        inbox.send("folder_put", path=name)
    elif entry.kind == "l":
        inbox.send("link_put", os.fsencode(entry.mark[1:]), path=name)
    else:
        with os.fdopen(tree.open_file(root, name), "rb") as file:
            _send_file(inbox, file, name)


def _send_file(inbox: Inbox, file: BinaryIO, name: str) -> None:
    status = os.fstat(file.fileno())
    left = status.st_size  # one that grows meanwhile is copied again
    header = {"path": name, "mode": status.st_mode & 0o777 | 0o600, "mtime": status.st_mtime_ns // 1000}
    while True:
        data = file.read(min(HOST_PAYLOAD, left))
        left -= len(data)
        more = left > 0 and bool(data)
        inbox.send("file_put", data, **header, **({"more": True} if more else {}))
        if not more:
            return


def _done(name: str, inbox: Inbox) -> Iterator[Failed]:
    with closing(inbox):
        try:
            for _ in transfer.pieces(inbox, name, "file_done"):
                pass
        except transfer.Refused as error:
            yield Failed(name, error.reason)


def get(channel: Channel, wanted: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield files of the workspace, each with its pieces; those that are not read are dropped.

    Reading them raises TransferError, ``transfer.Refused`` for what the agent cannot give.
    """
    rest = iter(wanted)
    begun: deque[tuple[str, Inbox]] = deque()
    try:
        begun.extend(_asked(channel, name) for name in islice(rest, _GETS))
        while begun:
            name, inbox = begun[0]
            rest_of_it = transfer.pieces(inbox, name, "file_data")
            yield name, rest_of_it
            with suppress(transfer.Refused):  # to its end: the agent keeps a file open that waits for credit
                deque(rest_of_it, maxlen=0)
            begun.popleft()[1].close()
            begun.extend(_asked(channel, name) for name in islice(rest, 1))
    finally:
        for _, inbox in begun:
            inbox.close()


def _asked(channel: Channel, name: str) -> tuple[str, Inbox]:
    inbox = channel.open()
    inbox.send("file_get", path=name)
    inbox.send("credit", bytes=WINDOW // 2)  # above what is saved up before more is granted
    return name, inbox
