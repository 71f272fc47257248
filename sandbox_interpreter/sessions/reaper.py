"""Clean-up after programs that were killed: their containers, and the private folders of their throwaway sandboxes.

Containers end themselves when no client was heard for their idle time; this is for who does not want to wait, and for
those that cannot. Only what this program made for this user on this machine is ever touched, and only once the process
that made it has ended (see ``sandbox.owner``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sandbox_interpreter.config import Settings
from sandbox_interpreter.engines.base import ContainerEngine, ContainerInfo, KeepsBridges
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sandbox import private, standby
from sandbox_interpreter.sandbox.launch import LABEL
from sandbox_interpreter.sandbox.owner import has_rebooted, owner_state
from sandbox_interpreter.sessions import store
from sandbox_interpreter.sessions.log import is_open

_DELAY = 1.0
"""Seconds after the start of a chat: by then its prompt is there, and nobody waits for what this slows down."""
_ENDED = ("exited", "dead")


@dataclass(frozen=True)
class Pruned:
    """What was removed: names of containers, and folders."""

    containers: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()


def containers_of(engine: ContainerEngine, label: str) -> list[ContainerInfo]:
    """Return the containers of the session that carries ``label``; none for "". Raises EngineError."""
    return engine.list({f"{LABEL}.session": label}) if label else []


def living(engine: ContainerEngine) -> set[str]:
    """Return the labels of all sessions whose container runs. Raises EngineError."""
    found = engine.list({f"{LABEL}.session": ""})
    return {info.labels[f"{LABEL}.session"] for info in found if info.state == "running"}


def prune(engine: ContainerEngine, *, resumable: bool) -> Pruned:
    """Remove what ended programs left, and return what that was.

    ``resumable``: also the containers that a session could still be resumed in, and standbys that wait. Those of
    sessions that are open, by whatever program, or are kept in another data folder stay. Raises EngineError.
    """
    dead = [info for info in engine.list({f"{LABEL}.owner": ""}) if _is_dead(info)]
    spared = set(_labels(resumable=resumable)) if dead else set()
    gone = [info for info in dead if _may_go(info.labels.get(f"{LABEL}.session", ""), spared)]
    for info in gone:
        engine.get(info.id).remove()
    _remove_bridges(engine)
    dismissed = standby.dismiss(engine) if resumable else []
    folders = [*standby.tidy(engine), *_remove_folders()]
    return Pruned((*(info.name for info in gone), *dismissed), tuple(folders))


def _remove_bridges(engine: ContainerEngine) -> None:
    """Remove the bridges of containers that have removed themselves."""
    if not isinstance(engine, KeepsBridges):
        return
    for bridge in engine.bridges(LABEL):
        owner = bridge.labels.get(f"{LABEL}.owner")
        # One that is just being made has no container on it yet, but an owner that lives, or is not told.
        if not bridge.used and owner and owner_state(owner) == "dead":
            engine.remove_bridge(bridge.name)


def _is_dead(info: ContainerInfo) -> bool:
    owner = info.labels.get(f"{LABEL}.owner", "")
    return owner_state(owner) == "dead" or (has_rebooted(owner) and info.state in _ENDED)


def _may_go(label: str, spared: set[str]) -> bool:
    is_of_here = store.is_label_of_here(label)
    return is_of_here is None or (is_of_here and label not in spared)


def _labels(*, resumable: bool) -> Iterator[str]:
    """Yield the labels of the sessions whose containers stay."""
    for session in store.every():
        if not resumable or is_open(session.events):
            yield session.record().container


def _remove_folders() -> Iterator[Path]:
    for folder in private.abandoned():
        with suppress(SandboxInterpreterError):  # code that still runs there may be faster; the next time it is gone
            private.remove(folder)
            yield folder.parent


def prune_soon(settings: Settings) -> None:
    """Remove what nobody can take up again, a little later and in the background; no error in it is told."""
    def tidy() -> None:
        with suppress(SandboxInterpreterError, OSError):
            engine = open_engine(settings)
            try:
                prune(engine, resumable=False)
            finally:
                engine.close()

    timer = threading.Timer(_DELAY, tidy)
    timer.daemon = True
    timer.start()


def open_engine(settings: Settings) -> ContainerEngine:
    """Return the engine that the settings name. Raises EngineUnreachable."""
    from sandbox_interpreter.engines.docker import DockerEngine

    return DockerEngine(settings.engine)
