"""Where the engine is that a setting names; the SDK is loaded for the engines of Docker's contexts alone."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox_interpreter.errors import EngineUnreachable


def podman_socket() -> str:
    """Return the address of Podman's API: the user's own service, else the system's."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    rootless = Path(runtime or "/nonexistent") / "podman" / "podman.sock"
    return f"unix://{rootless}" if rootless.exists() else "unix:///run/podman/podman.sock"


def address_of(setting: str | None) -> str | None:
    """Return the address that an ``engine`` setting means; None lets the SDK take DOCKER_HOST or its default.

    Raises EngineUnreachable for a context that does not exist.
    """
    if setting is None or setting == "docker":
        return None
    if setting == "podman":
        return podman_socket()
    if setting.startswith("context:"):
        from docker import ContextAPI

        context = ContextAPI.get_context(setting.removeprefix("context:"))
        if context is None:
            raise EngineUnreachable(f"There is no engine context {setting.removeprefix('context:')!r}.",
                                    next_step="List them: docker context ls")
        return str(context.Host)
    return setting
