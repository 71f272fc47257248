"""Where a sandbox's /workspace is: a folder of this machine that is mounted, or a copy of one in the sandbox's memory.

It is a copy where the user asks for one, and of a session's own folder on an engine that does not see it. A folder of
the user's is never mounted by its name alone: on another machine there may be another of that name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_interpreter.engines.base import Container, ContainerEngine, MayBeElsewhere
from sandbox_interpreter.engines.image_base import ImageStore, Progress
from sandbox_interpreter.errors import ChannelError, FolderUnseen
from sandbox_interpreter.sandbox import disk, launch, private
from sandbox_interpreter.sandbox import workspace as workspaces
from sandbox_interpreter.sandbox.erase import erase
from sandbox_interpreter.sandbox.policy import Policy

if TYPE_CHECKING:
    from sandbox_interpreter.engines.base import ContainerSpec
    from sandbox_interpreter.sandbox.growth import Growth
    from sandbox_interpreter.sandbox.instance import Instance
    from sandbox_interpreter.sandbox.mirror import Mirror
    from sandbox_interpreter.sandbox.workspace import Workspace

COPIED = ("The engine runs on another machine, so /workspace is a copy there, in the sandbox's memory. What changes "
          "in it is copied to the session's folder after each run.")
ALONE = ("The engine runs on another machine, so the files of /workspace are there, in memory, and end with the "
         "sandbox. Copy them: --artifact and --out, or share a folder by copy: -w DIR:copy")


class Place:
    """The workspace of one sandbox, from before its first container to its end. ``notify`` as for ``Sandbox``."""

    def __init__(self, workspace: Workspace | None, *, notify: Callable[[str], None],
                 progress: Callable[[Progress], object]) -> None:
        self.workspace = workspace
        self.in_memory = False
        """Whether the files are in the container, and end with it."""
        self._private = workspace is None
        self._notify = notify
        self._progress = progress
        self._mirror: Mirror | None = None
        self._growth: Growth | None = None  # of the disk, by code

    @property
    def is_copy(self) -> bool:
        """Tell whether the user asks for a copy."""
        return self.workspace is not None and self.workspace.access == "copy"

    @property
    def after_an_end(self) -> str:
        """Return what is left when a container has ended, as a sentence's end."""
        if not self.in_memory:
            return "variables are gone, files are there"
        return "variables are gone, files are as the last run left them" if self._mirror else (
            "variables and files are gone")

    def create(self, engine: ContainerEngine, policy: Policy, command: tuple[str, ...] = (), *, reference: str,
               image: str, session: str, provide: Callable[[str, ImageStore], object]) -> Container:
        """Return a container with the workspace; ``command`` takes the place of the agent's.

        Raises FolderUnseen, EngineError, ImageMissing, WorkspaceError.
        """
        workspace = self.workspace or private.create()
        if policy.network != "none" and workspace.access != "copy":
            workspace = private.with_packages(workspace)
        self.workspace = workspace
        spec = launch.container_spec(reference, policy, workspace, session, command)
        self.in_memory = workspace.access == "copy"
        if not self.in_memory:
            try:
                return launch.create(engine, spec, image=image, provide=provide)
            except FolderUnseen:
                if not (self._private or workspaces.is_ours(workspace.folder)):
                    raise
            self.in_memory = True
            self._notify(ALONE if self._private else COPIED)
        return self._in_memory(engine, spec, policy, image=image, provide=provide)

    def _in_memory(self, engine: ContainerEngine, spec: ContainerSpec, policy: Policy, *, image: str,
                   provide: Callable[[str, ImageStore], object]) -> Container:
        self._mirror = self._mirror or (None if self._private else self._make_mirror(policy))
        return launch.create(engine, launch.spec_elsewhere(spec, policy), image=image, provide=provide)

    def _make_mirror(self, policy: Policy) -> Mirror:
        from sandbox_interpreter.sandbox.mirror import Mirror  # most workspaces are mounted

        assert self.workspace is not None
        room = launch.workspace_room(policy)
        return Mirror(self.workspace.folder, room=room, files=launch.files_in(room), reserve=policy.reserve,
                      disk=policy.disk, record=self.workspace.record, notify=self._notify, progress=self._progress)

    def begin(self, instance: Instance, policy: Policy, engine: ContainerEngine) -> None:
        """Fill a new container's workspace, or make sure that it is the one that is meant.

        Raises FolderUnseen, WorkspaceError, TransferError, ChannelError.
        """
        if self._mirror and self.in_memory:
            self._mirror.begin(instance.channel, instance.container.id)
        elif not (self._private or self.in_memory) and isinstance(engine, MayBeElsewhere) and engine.may_be_elsewhere:
            self._prove(instance)
        self.watch_disk(instance, policy)

    def _prove(self, instance: Instance) -> None:
        """Raise FolderUnseen unless what is mounted is the folder of this machine, and not another of its name."""
        assert self.workspace is not None
        folder = self.workspace.folder
        before = _mark(folder)
        instance.wait()
        if not instance.channel.place:
            raise FolderUnseen(f"The engine is reached over a network, and an image without python3 cannot tell if "
                               f"it sees {folder} of this machine or of another.",
                               next_step="Use an image that has python3, or the engine's socket on its own machine")
        if instance.channel.place not in (before, _mark(folder)):
            raise FolderUnseen(f"The engine cannot mount {folder}: it runs on another machine, and what has that name "
                               "there is another folder.",
                               next_step=f"Let it travel by copy, both ways: -w {folder}:copy")

    def join(self, instance: Instance, policy: Policy, *, in_memory: bool) -> None:
        """Go on with a container that lives."""
        self.in_memory = in_memory
        if in_memory and not self._private:
            self._mirror = self._mirror or self._make_mirror(policy)
            self._mirror.join(instance.channel, instance.container.id)
        self.watch_disk(instance, policy)

    def watch_disk(self, instance: Instance, policy: Policy) -> None:
        """End the container rather than let it fill a disk of this machine."""
        if not self.in_memory:
            self._growth = disk.look_after(instance, self.workspace, policy, self._growth)

    def refresh(self) -> None:
        """Copy in what has changed here. Raises TransferError, WorkspaceError."""
        if self._mirror:
            with suppress(ChannelError):  # the run meets the same, and tells of it
                self._mirror.refresh()

    def collect(self) -> None:
        """Copy out what has changed there; what fails is told."""
        if self._mirror:
            self._mirror.collect()

    def finish(self, *, cut_short: bool) -> None:
        """Copy out what has changed there, for the last time, unless a run goes on that nobody waits for."""
        if self._mirror and cut_short:
            self._mirror.abandon()
        else:
            self.collect()

    def empty(self) -> bool:
        """Remove all files of a private workspace; return False if they are in the container, out of reach.

        Raises SandboxError if any is left.
        """
        if self._private and self.workspace and not self.in_memory:
            erase(self.workspace.folder, keep=True)
        return not self.in_memory

    def end(self) -> None:
        """Forget the container, which has ended or is about to."""
        if self._mirror:
            self._mirror.end()

    def remove(self) -> None:
        """Remove what was made for the sandbox alone. Raises SandboxInterpreterError if any is left."""
        if self.workspace:
            private.remove_spare(self.workspace)
        if self._private and self.workspace is not None:
            folder, self.workspace = self.workspace.folder, None
            private.remove(folder)


def _mark(folder: Path) -> str:
    """Return what tells a folder from its copies, as the agent does: its ctime, which nobody can set."""
    try:
        return str(folder.stat().st_ctime_ns)
    except OSError:
        return ""
