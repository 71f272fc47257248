"""Where the engine is that a setting names: a word, an address, or one of Docker's contexts.

The SDK looks for contexts beside its config.json, and where there is none in the current folder, which may be a
stranger's repository; so they are read here, as `docker context create` leaves them.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from sandbox_interpreter.errors import EngineUnreachable
from sandbox_interpreter.frozen import frozen

_CONTEXT = "context:"


@frozen
class Context:
    """An engine's address, the folder of the certificates for it if there is one, and whether its own is checked."""

    host: str
    certificates: Path | None
    verify: bool


def podman_socket() -> str:
    """Return the address of Podman's API: the user's own service, else the system's."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    rootless = Path(runtime or "/nonexistent") / "podman" / "podman.sock"
    return f"unix://{rootless}" if rootless.exists() else "unix:///run/podman/podman.sock"


def context_of(setting: str | None) -> Context | None:
    """Return the context that an ``engine`` setting names; None for another setting, and for the context default.

    Raises EngineUnreachable for a context that does not exist or cannot be read.
    """
    name = (setting or "").removeprefix(_CONTEXT)
    if name in (setting, "", "default"):
        return None
    import hashlib  # 4 ms of a start, and few engines are named so

    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "contexts"
    digest = hashlib.sha256(name.encode()).hexdigest()
    try:
        endpoint = json.loads((folder / "meta" / digest / "meta.json").read_bytes())["Endpoints"]["docker"]
        certificates = folder / "tls" / digest / "docker"
        return Context(str(endpoint["Host"]), certificates if certificates.is_dir() else None,
                       verify=not endpoint.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise EngineUnreachable(f"There is no engine context {name!r}.", next_step="List them: docker context ls"
                                ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise EngineUnreachable(f"The engine context {name!r} cannot be read: {error}.",
                                next_step=f"See what is wrong: docker context inspect {name}") from None


def address_of(setting: str | None) -> str | None:
    """Return the address that an ``engine`` setting means; None for DOCKER_HOST or the default. Raises as above."""
    if setting == "podman":
        return podman_socket()
    if setting in (None, "docker", f"{_CONTEXT}default"):
        return None
    context = context_of(setting)
    return context.host if context else setting
