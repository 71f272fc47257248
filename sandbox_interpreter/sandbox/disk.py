"""The disk behind a workspace: code that is about to fill it loses its sandbox before the host loses the disk.

No engine limits what a container writes to a folder of the host; quotas need file systems, mounts and rights that a
workspace rarely has. What is free can be asked of every file system, in microseconds, and it also counts what code
hides: files that it has deleted and keeps open. Those end with the sandbox. What one sandbox may take of it is
measured as growth.py says, in a thread of its own: a workspace of a million files holds up no other's watch.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sandbox_interpreter.errors import ChannelError, SandboxInterpreterError
from sandbox_interpreter.frozen import frozen

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.growth import Growth
    from sandbox_interpreter.sandbox.instance import Instance
    from sandbox_interpreter.sandbox.policy import Policy
    from sandbox_interpreter.sandbox.workspace import Workspace

PERIOD = 0.25
"""Seconds between two looks: at 2 GB/s, which few disks take, half the default reserve."""
FILES = 10_000
"""Files that can still be made on a disk, beside the bytes that are kept free."""


class Endable(Protocol):
    """A container that can be watched over."""

    @property
    def over(self) -> bool:
        """Tell whether it has ended, or was let go of."""

    def end(self, reason: ChannelError) -> None:
        """End it at once."""


@frozen
class Room:
    """What is left on a disk: bytes, and files that can be made; None where the file system counts no files."""

    size: int
    files: int | None

    @staticmethod
    def of(folder: Path) -> Room:
        """Return what is left where ``folder`` is, for who is not root. Raises OSError."""
        found = os.statvfs(folder)
        return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


@frozen
class _Watch:
    """A container, and what would be a reason to end it."""

    instance: Endable

    def reason(self) -> ChannelError | None:
        """Return why it has to end now; None if it may go on."""
        raise NotImplementedError


@frozen
class _Room(_Watch):
    folder: Path
    least: Room

    def reason(self) -> ChannelError | None:
        try:
            room = Room.of(self.folder)
        except OSError:  # removed, or a network's that is gone: nothing can be filled there
            return None
        short = room.size < self.least.size or (
            room.files is not None and self.least.files is not None and room.files < self.least.files)
        return _full(self.folder) if short else None


@frozen
class _Size(_Watch):
    container: str
    growth: Growth

    def reason(self) -> ChannelError | None:
        if not self.growth.is_due():
            return None
        found = self.growth.excess(self.container)
        return None if found is None else self.growth.error(found)


class _Rounds:
    """A daemon thread that looks at each container again and again until it is over; it sleeps while there is none."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._any = threading.Event()
        self._watches: list[_Watch] = []
        self._thread: threading.Thread | None = None

    def add(self, watch: _Watch) -> None:
        with self._lock:
            self._watches.append(watch)
            self._any.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._any.wait():
            with self._lock:
                self._watches = watches = [each for each in self._watches if not each.instance.over]
                if not watches:
                    self._any.clear()
            for each in watches:
                if not each.instance.over and (reason := each.reason()):
                    with suppress(SandboxInterpreterError):  # whoever uses it next is told that the engine is gone
                        each.instance.end(reason)
            time.sleep(PERIOD)


def _full(folder: Path) -> ChannelError:
    return ChannelError(f"The disk of the workspace {folder} is almost full, so the sandbox was ended.",
                        next_step="Make room there, or let the code write less. Its files are kept.", limit="disk")


_rooms = _Rounds("sbi-disk")
_sizes = _Rounds("sbi-growth")
"""In a thread of its own: to look through a million files takes seconds, in which disks can fill up."""


def look_after(instance: Instance, workspace: Workspace | None, policy: Policy, growth: Growth | None) -> Growth | None:
    """Watch what a sandbox's new container may do to the disk, and return what its code may add to it.

    ``growth`` is what was returned for the sandbox's last container: what code added there counts.
    """
    folders = workspace.writable(policy) if workspace else []
    if workspace and folders and policy.disk:
        if growth:
            growth.begin()
        else:
            growth = _growth(folders, workspace, policy)
        _sizes.add(_Size(instance, instance.container.id, growth))
    for folder in folders if policy.reserve else ():
        _keep_free(instance, folder, policy.reserve)
    return growth


def _keep_free(instance: Endable, folder: Path, reserve: int) -> None:
    """End ``instance`` when less than ``reserve`` bytes, or few files, are left on the disk of ``folder``.

    Where so little is left at the start already, half of that is kept: code must be able to make room.
    """
    try:
        room = Room.of(folder)
    except OSError:
        return
    least = Room(min(reserve, room.size // 2), None if room.files is None else min(FILES, room.files // 2))
    _rooms.add(_Room(instance, folder, least))


def _growth(folders: Sequence[Path], workspace: Workspace, policy: Policy) -> Growth:
    from sandbox_interpreter.sandbox import private
    from sandbox_interpreter.sandbox import workspace as workspaces
    from sandbox_interpreter.sandbox.growth import Growth, Place

    def is_ours(folder: Path) -> bool:
        return folder == workspace.packages or workspaces.is_ours(folder) or bool(private.owner_of(folder))

    return Growth([Place(folder, ours=is_ours(folder)) for folder in folders], policy.disk)
