"""Standby: fresh containers that wait for the next run, so that it need not wait for them. No daemon of ours is needed.

A standby is a container like any other whose agent has answered and whose maker has left. It is labelled with its
``key``, what it is in every respect: image, policy, workspace, user, machine, this version's agent. Whoever wants one
of that key renames it: all ask for the same new name, and the engine gives it to one of them (a container that has a
name cannot be given it again). Nothing but the name says that it waits, and no name is ever given back, so nobody gets
a container that another has had, whatever became of that one. Its agent confirms that it has run nothing.

Its environment holds nothing of anybody: variables and secrets come over the channel, from the one who has claimed it.
One that nobody wants ends itself after its idle time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox_interpreter.agent import boot
from sandbox_interpreter.config import data_folder
from sandbox_interpreter.engines.base import ContainerEngine, ContainerInfo, Renamable, TakesUp
from sandbox_interpreter.engines.image_base import IdentifiesImages
from sandbox_interpreter.errors import EngineError, SandboxError, SandboxInterpreterError
from sandbox_interpreter.frozen import frozen
from sandbox_interpreter.sandbox import launch, private
from sandbox_interpreter.sandbox.instance import Instance
from sandbox_interpreter.sandbox.owner import here, owner_state
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.workspace import Workspace

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.way_out import WayOut

LABEL = f"{launch.LABEL}.standby"
_FOLDER = f"{launch.LABEL}.standby.folder"
_PLACE = f"{launch.LABEL}.standby.place"
_MAKER = f"{launch.LABEL}.standby.maker"
_MAKING, WAITING, TAKEN = "sbi-making-", "sbi-standby-", "sbi-taken-"
_PRIVATE = Workspace(Path("/"), "rw", "private")
"""Stands for every private workspace in a key: each is a new folder of the user's own."""


@frozen
class Wanted:
    """What a run needs; ``workspace`` is None for a private one."""

    image: str
    policy: Policy
    workspace: Workspace | None


@frozen
class Claimed:
    """A standby that is this run's now, with the agent's channel open, its workspace, and its session label."""

    instance: Instance
    workspace: Workspace
    session: str


def claim(engine: ContainerEngine, wanted: Wanted, environment: Mapping[str, str],
          way_out: WayOut | None = None) -> Claimed | None:
    """Return a standby that fits, or None if there is none. Raises EngineUnreachable.

    It is the caller's alone, and has run nothing. ``way_out`` judges its connections, if the policy lets any out.
    """
    key = _key(engine, wanted)
    for info in _waiting(engine, key) if key else ():
        if _take(engine, info) and (claimed := _join(engine, info, wanted, environment, way_out)):
            return claimed
    return None


def leave(engine: ContainerEngine, wanted: Wanted, *, most: int) -> bool:
    """Make one more standby, unless ``most`` of its key wait already; tell whether it did.

    Two who do so at once may make one too many, which the slower of them removes. Raises SandboxInterpreterError.
    """
    key = _key(engine, wanted)
    if key is None or len(_waiting(engine, key)) >= most:
        return False
    workspace = wanted.workspace or private.create()
    try:
        info = _make(engine, wanted, workspace, key)
    except BaseException:
        if wanted.workspace is None:
            private.remove(workspace.folder)
        raise
    if len(_waiting(engine, key)) > most:
        _dismiss(engine, info)
        return False
    return True


def waits(engine: ContainerEngine, wanted: Wanted) -> bool:
    """Tell whether there is a standby that fits. Raises EngineError."""
    key = _key(engine, wanted)
    return key is not None and bool(_waiting(engine, key))


def dismiss(engine: ContainerEngine) -> list[str]:
    """End every standby of this user on this machine; return their names. Raises EngineError."""
    waiting = [info for info in engine.list({_PLACE: _place()}) if info.name.startswith(WAITING)]
    return [info.name for info in waiting if _dismiss(engine, info)]


def tidy(engine: ContainerEngine) -> list[Path]:
    """Remove what is left of standbys that have ended, or whose owner was killed; return the folders."""
    folders = private.standing()  # before the containers are listed: a folder is handed over when its container stands
    standing = {}
    for info in engine.list({_PLACE: _place()}):
        folder = Path(info.labels.get(_FOLDER, ""))
        standing[folder] = info
        if _is_left(info, folder):
            engine.get(info.id).remove()
    ended = [folder for folder in folders if folder not in standing]
    for folder in ended:
        private.remove(folder)
    return [folder.parent for folder in ended]


def _is_left(info: ContainerInfo, folder: Path) -> bool:
    """Tell whether a standby's owner, the one who was making it or who has claimed it, has ended before it did."""
    if info.name.startswith(_MAKING):
        return owner_state(info.labels.get(_MAKER, "")) == "dead"
    return info.name.startswith(TAKEN) and bool(info.labels.get(_FOLDER)) and (
        owner_state(private.owner_of(folder)) == "dead")


def _key(engine: ContainerEngine, wanted: Wanted) -> str | None:
    """Return what tells standbys apart that are not alike in every respect; None where none may or can wait."""
    if not (isinstance(engine, TakesUp) and engine.takes_up):
        return None  # it would end when its maker leaves
    image = _image(engine, wanted.image)
    if image is None or wanted.policy.network == "full":  # a bridge for each that waits would use up the engine's
        return None
    spec = launch.container_spec(image, wanted.policy, wanted.workspace or _PRIVATE, session="")
    facts = {**asdict(spec), "name": "", "labels": {}, "policy": asdict(wanted.policy), "place": _place(),
             "agent": hashlib.sha256(boot.bundle()).hexdigest()}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _place() -> str:
    """Return whose standbys they are: this user's, on this machine, with this data folder."""
    mark = hashlib.sha256(os.fsencode(data_folder().resolve())).hexdigest()[:8]
    return f"{here()}/{mark}"


def _image(engine: ContainerEngine, name: str) -> str | None:
    """Return the very image that a name stands for now: one that was built anew makes another key."""
    from sandbox_interpreter.catalogue import index

    return engine.image_id(index.resolve(name)) if isinstance(engine, IdentifiesImages) else None


def _waiting(engine: ContainerEngine, key: str) -> list[ContainerInfo]:
    return [info for info in engine.list({LABEL: key}) if info.state == "running" and info.name.startswith(WAITING)]


def _take(engine: ContainerEngine, info: ContainerInfo) -> bool:
    """Tell whether this caller, of all who may want it, has got the container. Raises EngineUnreachable."""
    container = engine.get(info.id)
    return isinstance(container, Renamable) and container.rename(TAKEN + info.name.removeprefix(WAITING))


def _join(engine: ContainerEngine, info: ContainerInfo, wanted: Wanted,
          environment: Mapping[str, str], way_out: WayOut | None) -> Claimed | None:
    """Take a container up that is this caller's now; one that cannot be used is removed."""
    container = engine.get(info.id)
    try:
        workspace = wanted.workspace or private.adopt(Path(info.labels.get(_FOLDER, "")))
        instance = Instance(container, wanted.policy, joins=True, way_out=way_out)
        instance.join_fresh(environment)
        return Claimed(instance, workspace, info.labels[f"{launch.LABEL}.session"])
    except (SandboxInterpreterError, OSError):
        with suppress(EngineError):
            container.remove()
        return None
    except BaseException:
        container.remove()
        raise


def _make(engine: ContainerEngine, wanted: Wanted, workspace: Workspace, key: str) -> ContainerInfo:
    """Return a new standby. Raises SandboxInterpreterError; then there is none."""
    session = launch.new_session_id()
    image = _image(engine, wanted.image) or wanted.image
    spec = launch.container_spec(image, wanted.policy, workspace, session)
    labels = {**spec.labels, LABEL: key, _PLACE: _place()}
    # It outlives its maker, and no reaper is to think that it was forgotten.
    labels[_MAKER] = labels.pop(f"{launch.LABEL}.owner")
    if wanted.workspace is None:
        labels[_FOLDER] = str(workspace.folder)
    name = f"{session}-{os.urandom(2).hex()}"
    spec = launch.without_volumes(engine, replace(spec, name=_MAKING + name, labels=labels))
    container = engine.create(spec)
    try:
        if not isinstance(container, Renamable):
            raise SandboxError("This engine renames no containers, so none can wait.")
        instance = Instance(container, wanted.policy)
        instance.launch({})
        instance.wait()
        instance.detach()
        if wanted.workspace is None:
            private.hand_over(workspace.folder)
        container.rename(WAITING + name)  # only now can anybody find it
    except BaseException:
        container.remove()
        raise
    return ContainerInfo(container.id, WAITING + name, image, "running", labels)


def _dismiss(engine: ContainerEngine, info: ContainerInfo) -> bool:
    """End a standby, unless somebody was faster to claim it; tell whether it did."""
    if not _take(engine, info):
        return False
    engine.get(info.id).remove()
    if folder := info.labels.get(_FOLDER):
        private.remove(Path(folder))
    return True
