"""A workspace that is a copy: the folder here and the one in the sandbox, kept alike before and after each run.

What changed on one side since the last look is copied to the other. What changed on both stays here as it is, and the
sandbox's goes beside it under another name. Nothing is deleted on either side, and only files and folders come out:
their names, sizes and number are the guest's word, and judged as artifacts are.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_interpreter.engines.image_base import Progress
from sandbox_interpreter.errors import ChannelError, SandboxInterpreterError, TransferError, WorkspaceError
from sandbox_interpreter.sandbox import copying, plan, tree
from sandbox_interpreter.sandbox.artifacts import ArtifactFile, ArtifactWriter
from sandbox_interpreter.sandbox.disk import Room
from sandbox_interpreter.sandbox.known import Known, Pair
from sandbox_interpreter.sandbox.names import check_name
from sandbox_interpreter.sandbox.plan import Plan, Pull
from sandbox_interpreter.sandbox.tidings import Tidings
from sandbox_interpreter.sandbox.transfer import Refused
from sandbox_interpreter.sandbox.usage import LEAST

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.channel import Channel
    from sandbox_interpreter.sandbox.tree import Entry

BESIDE = ".from-sandbox"
"""Ends the name of what the sandbox made of a file that was changed here meanwhile."""
_SHOWN = 1024 * 1024
"""Bytes from which on it is shown how far a copy is."""


class Mirror:
    """Keeps ``folder`` and a sandbox's workspace alike. Thread-safe.

    ``room`` is the workspace's size there in bytes, and ``files`` the number of files that it holds; no more comes out
    at once, ``disk`` bytes in all (0: no limit), and ``reserve`` bytes stay free here. ``record`` is the file that
    remembers what was copied, for a client that takes the sandbox up again. ``notify`` is told what the user should
    know, ``progress`` how far a long copy is.
    """

    def __init__(self, folder: Path, *, room: int, files: int, reserve: int, record: Path | None, disk: int = 0,
                 notify: Callable[[str], object], progress: Callable[[Progress], object] = lambda _: None) -> None:
        self.folder = folder
        self._room, self._files, self._reserve = room, files, reserve
        self._left = disk or math.inf
        self._known = Known(record)
        self._notify = notify
        self._progress = progress
        self._tidings = Tidings(folder, notify)
        self._channel: Channel | None = None
        self._cut = False
        self._lock = threading.RLock()

    # --- when ---

    def begin(self, channel: Channel, container: str) -> None:
        """Copy the folder into a new sandbox. Raises WorkspaceError: it does not fit; TransferError, ChannelError."""
        with self._lock, self._root() as root:
            found = self._look(root)
            self._channel = channel
            self._known.begin(container)
            self._exchange(root, found, {})

    def join(self, channel: Channel, container: str) -> None:
        """Go on with a sandbox that lives, from what is recorded of it; ``collect`` then takes what was missed."""
        with self._lock:
            self._channel = channel
            self._known.load(container)

    def refresh(self) -> None:
        """Copy in what has changed here since the last look. Raises as ``begin``."""
        with self._lock, self._root() as root:
            self._cut = False
            found = self._look(root)
            if self._channel and self._known.news(found):
                self._exchange(root, found, copying.entries(self._channel))

    def collect(self) -> None:
        """Copy out what has changed in the sandbox; what goes wrong is told to the user, since the run was well."""
        with self._lock:
            if self._channel is None or self._cut:  # what was cut short once would take as long again
                return
            try:
                with self._root() as root:
                    self._exchange(root, self._look(root), copying.entries(self._channel))
            except ChannelError:
                self._notify(f"The sandbox ended before its files were copied: {self.folder} is as it was after the "
                             "last run that ended well.")
                self.end()
            except SandboxInterpreterError as error:
                self._notify(f"Not all that has changed in the sandbox is in {self.folder}. {error.report()}")

    def abandon(self) -> None:
        """Say that what a run has written which was cut short is not copied."""
        if self._channel:
            self._notify(f"What the run that was cut short has written is not in {self.folder}.")

    def end(self) -> None:
        """Forget the sandbox, which has ended."""
        with self._lock:
            self._channel = None

    @contextmanager
    def _root(self) -> Iterator[int]:
        try:
            root = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise WorkspaceError(f"The workspace {self.folder} cannot be read any more: {error.strerror}.",
                                 next_step="Put it back where it was.") from None
        try:
            yield root
        finally:
            os.close(root)

    # --- what ---

    def _look(self, root: int) -> dict[str, Entry]:
        """Return what is in the folder here. Raises WorkspaceError: more than the sandbox can hold."""
        found = tree.here(root, self._files)
        size = sum(entry.size for entry in found.values())
        if size > self._room or len(found) > self._files:
            raise WorkspaceError(
                f"{self.folder} does not fit into the sandbox: it has {_mib(size)} and {len(found)} files and folders "
                f"or more, and there is room for {_mib(self._room)} and {self._files}, a quarter of its memory.",
                next_step="Give it more, such as --memory 4g, or share a folder that holds only what is needed.")
        return found

    def _exchange(self, root: int, here: dict[str, Entry], there: dict[str, Entry]) -> None:
        assert self._channel is not None
        steps = plan.make(here, there, self._known, self._tidings)
        try:
            if steps.puts:
                self._put(self._channel, root, here, steps)
            if steps.pulls or steps.folders:
                self._pull(self._channel, steps)
        except Exception:
            raise
        except BaseException:
            self._cut = True
            raise
        finally:
            self._known.save()
            self._tidings.tell()

    def _put(self, channel: Channel, root: int, here: dict[str, Entry], steps: Plan) -> None:
        names = [name for name in steps.puts if self._may_travel(name, self._tidings.failed_in)]
        for name in set(steps.puts).difference(names):
            self._known[name] = Pair(here[name].mark, "")
        bar = self._bar(f"Copying {self.folder.name} into the sandbox", sum(here[name].size for name in names))
        failed = {each.name: each.reason for each in copying.put(
            channel, root, [(name, here[name]) for name in names], bar)}
        for name, reason in failed.items():
            self._tidings.failed_in(name, reason)
        arrived = copying.entries(channel)
        for name in names:
            mine, theirs = here[name], arrived.get(name)
            if theirs is None or name in failed:  # what is there was not made of what is here, and is not to replace it
                self._known[name] = Pair("", theirs.mark if theirs else "")
            else:  # of another size, somebody there has changed it already
                is_mine = mine.kind != "f" or theirs.size == mine.size
                self._known[name] = Pair(mine.mark, theirs.mark if is_mine else "")

    def _pull(self, channel: Channel, steps: Plan) -> None:
        status = self.folder.stat()
        owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
        pulls = {each.name: each for each in steps.pulls if self._may_travel(each.name, self._tidings.failed_out)}
        with ArtifactWriter(self.folder, owner=owner, most_bytes=self._room, most_files=self._files) as writer:
            for name, mark in steps.folders.items():
                if self._may_travel(name, self._tidings.failed_out):
                    with self._tidings.failing(name):
                        writer.folder(name)
                        self._known[name] = Pair("d", mark)
            bar = self._bar(f"Copying what has changed into {self.folder.name}", sum(x.size for x in pulls.values()))
            for name, pieces in copying.get(channel, list(pulls)):
                with self._tidings.failing(name):
                    self._write(writer, pulls[name], pieces)
                bar(pulls[name].size)

    def _write(self, writer: ArtifactWriter, pull: Pull, pieces: Iterator[bytes]) -> None:
        """Write one file that has changed there, unless it has changed here as well."""
        if Room.of(self.folder).size - pull.size < self._reserve:
            raise Refused(pull.name, "the disk is almost full")
        if max(pull.size, LEAST) > self._left:  # what is deleted in the sandbox is kept here, so it would never end
            raise Refused(pull.name, "the setting disk allows no more")
        file = writer.open(pull.target)
        try:
            for piece in pieces:
                file.write(piece)
            standing = file.standing()
        except BaseException:
            file.discard()
            raise
        mark = tree.entry_of(standing).mark if standing else ""
        if mark == pull.expected and not pull.disputed:
            file.permit(standing.st_mode if standing else None, executable=pull.executable)
            file.commit()
            assert file.status is not None
            self._left -= max(pull.size - (standing.st_size if standing else -LEAST), 0)
            self._known.arrived(pull, tree.entry_of(file.status).mark)
        elif standing and file.equals_standing():
            file.discard()
            self._known.arrived(pull, mark)
        else:
            self._beside(file, pull)

    def _beside(self, file: ArtifactFile, pull: Pull) -> None:
        file.permit(None, executable=pull.executable)
        self._left -= pull.size + LEAST
        beside = file.commit_beside(BESIDE).relative_to(self.folder).as_posix()
        assert file.status is not None
        self._known[pull.name] = Pair("", pull.mark)  # once the other is removed, what is here is new to the sandbox
        self._known.dispute(pull.name, beside, tree.entry_of(file.status).mark)
        self._tidings.disputed(pull.name, beside)

    @staticmethod
    def _may_travel(name: str, fails: Callable[[str, str], None]) -> bool:
        try:
            check_name(name)
        except TransferError as error:
            fails(name, str(error).rpartition(", and ")[2].rstrip("."))
            return False
        return True

    def _bar(self, text: str, total: int) -> Callable[[int], None]:
        """Return what is told the size of each file that has been copied, and shows how far all of them are."""
        done = 0

        def add(size: int) -> None:
            nonlocal done
            done += size
            if total >= _SHOWN:
                with suppress(OSError):
                    self._progress(Progress(text, min(done, total), total))

        return add


def _mib(size: int) -> str:
    return f"{-(-size // 2**20)} MiB"
