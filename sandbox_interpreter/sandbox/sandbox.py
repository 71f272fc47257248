"""A sandbox: one hardened container, its channel, and the runs in it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sandbox_interpreter import languages
from sandbox_interpreter.catalogue import index
from sandbox_interpreter.engines.base import ContainerEngine
from sandbox_interpreter.engines.image_base import ImageStore, Progress, images_of
from sandbox_interpreter.errors import ChannelError, SandboxClosed, UsageError
from sandbox_interpreter.messages import Chunk
from sandbox_interpreter.sandbox import chunks, launch, starting, transfer
from sandbox_interpreter.sandbox import workspace as workspaces
from sandbox_interpreter.sandbox.execution import Execution
from sandbox_interpreter.sandbox.inbox import WINDOW, Inbox
from sandbox_interpreter.sandbox.instance import Instance
from sandbox_interpreter.sandbox.place import Place
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.settle import announced, print_notice, settle
from sandbox_interpreter.sandbox.submit import Script, Stdin, check_code, check_environment, check_timeout, submit
from sandbox_interpreter.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.way_out import WayOut

__all__ = ["Sandbox", "Script"]


class Sandbox:
    """Runs code in a container of its own; a context manager. It starts with the first run.

    ``image`` is a bundled image's name or any reference. ``workspace`` is a folder (``:ro`` behind it mounts it
    read-only, ``:copy`` copies it in, and what changes out after each run); without one, a private folder that
    ``close`` removes. ``env`` and ``secrets`` reach the code's environment and nothing else. ``engine`` is an engine or
    a setting such as ``podman``. ``notify`` is told, in a sentence, what the user should know. ``provide`` is called
    with the image and the engine's images where the image is missing; without it, a bundled one is built and another
    pulled. ``way_out`` judges connections where the policy lets some out; without it, nobody is asked and nothing is
    recorded. ``locked`` are the digests that images must have, by their names; an image of somebody's own may tighten
    the policy. ``standby`` takes a fresh container that waits for such a run, if there is one. ``progress`` is told how
    far long copies are.

    Raises WorkspaceError, EngineUnreachable, ImageMissing; UsageError for an image without a name, an environment that
    no process can have, or a policy whose network is none.
    """

    def __init__(self, image: str = "python", *, policy: Policy | None = None,
                 workspace: str | Path | Workspace | None = None,
                 env: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None,
                 engine: ContainerEngine | str | None = None, session: str | None = None,
                 notify: Callable[[str], None] = print_notice,
                 provide: Callable[[str, ImageStore], object] | None = None,
                 way_out: WayOut | None = None, locked: Mapping[str, str] | None = None,
                 standby: bool = False, progress: Callable[[Progress], object] = lambda _: None) -> None:
        if not image:
            raise UsageError("The image has no name.",
                             next_step="Name a bundled one, such as python (see: sbi images list), or one of yours.")
        self.image = image
        self.policy = policy or Policy()
        self.session = session or launch.new_session_id()
        self._environment = check_environment({**(env or {}), **(secrets or {})})
        self._way_out = way_out or launch.way_out(self.policy, image, engine)
        self._engine_setting = engine
        self._engine: ContainerEngine | None = None
        self._notify = notify
        self._provide = provide or announced(notify)
        self._locked = dict(locked or {})
        self._standby = standby
        self.reference = image
        """What the engine starts, once it is known: a bundled image's tag, or the identifier of one that is locked."""
        place = workspace if workspace is None or isinstance(workspace, Workspace) else workspaces.resolve(
            workspace, engine=engine if isinstance(engine, str) else None)
        self._place = Place(place, notify=notify, progress=progress)
        self._lock = threading.RLock()
        self._instance: Instance | None = None
        self._doomed: list[Instance] = []  # to be removed, and not yet known to be gone: the engine may have failed
        self._execution: Execution | None = None
        self._closed = False

    @property
    def workspace(self) -> Path | None:
        """Return the host folder that is /workspace; None for a private one that does not exist yet."""
        return self._place.workspace.folder if self._place.workspace else None

    @property
    def keeps_files_itself(self) -> bool:
        """Tell whether /workspace is in the container's memory: it is a copy, or the engine is elsewhere."""
        return self._place.in_memory

    @property
    def is_confined(self) -> bool:
        """Tell whether the agent's filter of kernel calls holds code; taken to be so until the agent has answered."""
        return self._instance is None or self._instance.channel.confined

    @property
    def image_id(self) -> str:
        """Return the image as ``name@digest``: what is needed to run on the very same one again."""
        reference = index.resolve(self.image)
        images = images_of(self._engine)
        known = images.image(reference) if images else None
        return f"{reference.partition('@')[0]}@{known.id}" if known else reference

    @property
    def is_running(self) -> bool:
        """Tell whether the container was started and, as far as is known, has not ended."""
        return self._instance is not None and self._instance.channel.error is None

    @property
    def container_id(self) -> str | None:
        """Return the engine's identifier of the container; None before the start."""
        return self._instance.container.id if self._instance else None

    # --- life ---

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the container, unless it runs. Returns once its agent answers."""
        self._running().wait()

    def _running(self) -> Instance:
        """Return the running container; start one where there is none, or it has ended."""
        with self._lock:
            if self._closed:
                raise SandboxClosed("This sandbox was closed.", next_step="Make a new one.")
            if self._instance and self._instance.channel.error:
                self._notify(f"{self._instance.channel.error} A new one is started: {self._place.after_an_end}.")
                self._discard()
            if self._instance is None:
                self._launch()
            assert self._instance is not None
            return self._instance

    def _launch(self) -> None:
        engine = self._engine = self._engine or launch.engine_of(self._engine_setting)
        if self._place.workspace and self._place.workspace.notice:
            self._notify(self._place.workspace.notice)
        self.reference, self.policy = settle(self.image, self.policy, engine, locked=self._locked,
                                             provide=self._provide, notify=self._notify)
        self._way_out = None if self.policy.network == "none" else self._way_out  # the image may have closed it
        if self._standby and not self._place.is_copy:
            from sandbox_interpreter.sandbox import standby

            wanted = standby.Wanted(self.reference, self.policy, self._place.workspace)
            if claimed := standby.claim(engine, wanted, self._environment, self._way_out):
                self._instance, self.session = claimed.instance, claimed.session
                self._place.workspace = claimed.workspace
                self._place.watch_disk(self._instance, self.policy)
                return
        create = functools.partial(self._place.create, engine, self.policy, reference=self.reference,
                                   image=self.image, session=self.session, provide=self._provide)
        self._instance = starting.start(self.image, self.policy, self._environment, create,
                                        way_out=self._way_out, notify=self._notify)
        try:
            self._place.begin(self._instance, self.policy, engine)
        except BaseException:
            self._discard()
            raise

    def detach(self) -> None:
        """Let go of the container, which lives on for its idle time; ``reattach`` finds it again."""
        with self._lock:
            self._place.collect()
            self._place.end()
            instance, self._instance = self._instance, None
        if instance:
            instance.detach()

    def reattach(self) -> list[Execution]:
        """Take up this session's living container; return its runs that go on or whose end nobody saw.

        Raises SandboxClosed when there is none, ChannelError when its agent does not answer.
        """
        engine = self._engine = self._engine or launch.engine_of(self._engine_setting)
        found = [each for each in engine.list({f"{launch.LABEL}.session": self.session}) if each.state == "running"]
        if not found:
            raise SandboxClosed(f"Session {self.session} has no container any more.",
                                next_step="Its files are kept; the next run starts a new one.")
        with self._lock:
            instance = self._instance = Instance(engine.get(found[0].id), self.policy, joins=True,
                                                 way_out=self._way_out)
        unfinished = instance.join()
        self._place.join(instance, self.policy, in_memory=launch.COPY_LABEL in found[0].labels)
        if not unfinished:
            self._place.collect()
        return [self._execution_of(instance, inbox, timeout=0) for inbox in unfinished]

    def _discard(self, *, wait: bool = True) -> None:
        with self._lock:
            self._place.end()
            if self._instance:
                self._doomed.append(self._instance)
                self._instance = None
        for instance in list(self._doomed):
            instance.discard(wait=wait)
            with contextlib.suppress(ValueError):  # another thread was faster
                self._doomed.remove(instance)

    def close(self, *, wait: bool = True) -> None:
        """End the container and remove the private workspace; harmless when repeated.

        Without ``wait`` it returns when the container's processes have ended; the engine removes what is left of it
        some 40 ms later by itself, even if this process is gone by then.
        """
        with self._lock:
            if not self._closed:
                self._place.finish(cut_short=bool(self._execution and not self._execution.is_over))
            self._closed = True
        try:
            self._discard(wait=wait)
        finally:
            self._place.remove()
            # What could not be removed is tried again by the next close, and some engines are gone once closed.
            if not self._doomed and self._engine is not None and self._engine is not self._engine_setting:
                self._engine.close()

    # --- running ---

    def execute(self, language: str, code: str, *, script: Script | None = None, timeout: float | None = None,
                stdin: Stdin = "none", active_line: bool = False, window: int = WINDOW) -> Execution:
        """Return a run of ``code`` that has begun; iterate it for outputs.

        ``timeout`` is in seconds and replaces the policy's; 0 means none. ``stdin``: ``ask`` turns a cell's input()
        into an InputRequest, ``pipe`` gives a script a stdin. ``active_line`` reports the line that runs.
        ``window`` bytes of output may come ahead of whoever iterates.
        Raises UsageError (an unknown language, code that is no text, a time limit that is none, arguments of over
        64 KiB), SandboxClosed, EngineUnreachable, ImageMissing.
        """
        known = languages.find(language)
        check_code(code)
        check_timeout(self.policy.timeout if timeout is None else timeout)
        instance = self._running()
        self._place.refresh()
        seconds = self.policy.timeout if timeout is None else timeout  # only now: the image may have tightened it
        inbox = instance.channel.open(window)
        execution = self._execution_of(instance, inbox, timeout=seconds)
        with contextlib.suppress(ChannelError):  # it has just ended, as whoever iterates is told
            instance.teach(known)
            submit(inbox, known.name, code, script=script, timeout=seconds, stdin=stdin, active_line=active_line)
        self._execution = execution
        return execution

    def _execution_of(self, instance: Instance, inbox: Inbox, *, timeout: float) -> Execution:
        questions = self._way_out.questions if self._way_out else None
        execution = Execution(inbox, instance.end, timeout=timeout, grace=self.policy.grace,
                              output_limit=self.policy.output, questions=questions)
        execution.afterwards = self._place.collect
        return execution

    def run(self, language: str, code: str, *, timeout: float | None = None) -> Iterator[Chunk]:
        """Yield the output of ``code`` as chunks; closing the iterator interrupts the run. Raises as ``execute``."""
        return chunks.chunks_of(self.execute(language, code, timeout=timeout, active_line=True))

    def interrupt(self) -> None:
        """Interrupt the run that goes on, if any: SIGINT, then harder."""
        if self._execution is not None:
            self._execution.interrupt()

    def reset(self) -> None:
        """Forget every kernel's state: variables, shells, background processes of theirs. Files stay."""
        if (instance := self._instance) and not instance.channel.error:
            with contextlib.suppress(ChannelError):  # a sandbox that has ended has no state
                instance.channel.send("reset_request")

    def wipe(self) -> None:
        """Reset, and empty the workspace if it is private. Raises SandboxError if a file is left."""
        self.reset()
        if not self._place.empty():
            self._discard()  # what it holds ends with it alone

    # --- files ---

    def upload(self, source: Path | BinaryIO, target: str | None = None) -> None:
        """Copy a host file, or what an open one gives, into the sandbox; ``target`` is relative to /workspace.

        Raises TransferError, and an open file's OSError.
        """
        channel = self._running().channel
        if isinstance(source, Path):
            transfer.upload(channel, source, target or source.name)
        else:
            transfer.put(channel, source, target or Path(source.name).name)

    def files(self, pattern: str) -> list[str]:
        """Return the names of the workspace's files that match a glob, as the sandbox tells them.

        Raises TransferError, UsageError for a pattern that does not stay in the workspace.
        """
        return list(transfer.names(self._running().channel, pattern))

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file of the workspace. Raises TransferError."""
        return transfer.get(self._running().channel, name)

    def download(self, pattern: str, folder: Path) -> list[Path]:
        """Copy the workspace's files that match a glob below ``folder``; return their host paths.

        Raises TransferError: a name that would lead outside, a full disk, too many files; UsageError for a pattern
        that does not stay in the workspace.
        """
        return transfer.download(self._running().channel, pattern, folder, workspace=self.workspace)
