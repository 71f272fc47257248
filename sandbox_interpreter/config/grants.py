"""Hosts that the user has allowed for always when asked: by project, in their own settings' folder, not in the project.

A project is the folder that is shared with the code. What the project's own file says has no part in it.
"""

from __future__ import annotations

from sandbox_interpreter import network
from sandbox_interpreter.config.records import Record

_RECORD = Record("network.json", "allowed hosts", "Remove it; you will be asked again.")


def is_granted(project: str, host: str, port: int) -> bool:
    """Tell whether the user has allowed a host at a port for a project. Raises ConfigError for a broken record."""
    return network.shown(host, port) in _of(project)


def grant(project: str, host: str, port: int) -> None:
    """Record that a host at a port is allowed for a project. Raises ConfigError."""
    _RECORD.write(_RECORD.read() | {project: sorted({*_of(project), network.shown(host, port)})})


def _of(project: str) -> list[str]:
    found = _RECORD.read().get(project, [])
    return [entry for entry in found if isinstance(entry, str)] if isinstance(found, list) else []
