"""A session on disk: one folder with its record, its event log, its pictures and its private workspace.

    <data folder>/sessions/2025-11-22-175012-plot-the-rainfall/
      session.yaml     what the session is
      events.jsonl     what happened: one JSON object a line, only ever appended to
      pictures/        what code drew
      workspace/       mounted at /workspace, unless the user named a folder
      packages/        mounted at ~/.local where code has a network

Code in the sandbox can reach the workspace and nothing else of it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sandbox_interpreter.config import Settings
from sandbox_interpreter.errors import WorkspaceError
from sandbox_interpreter.sandbox.erase import erase
from sandbox_interpreter.sandbox.policy import Policy
from sandbox_interpreter.sandbox.workspace import SANDBOX_UID

_RECORD = "session.yaml"


@dataclass(frozen=True)
class Record:
    """What a session is. There are names of secrets and variables in it, and no values."""

    title: str = ""
    """The first message."""
    created: str = ""
    """When it began: ISO 8601 with the time zone."""
    model: str = ""
    """The model that answered last."""
    image: str = ""
    """The image as the user named it."""
    image_id: str = ""
    """The very image that ran: ``name@digest``."""
    engine: str = ""
    """The engine as the user named it; empty: the usual one."""
    workspace: str = ""
    """The folder at /workspace, with ``:ro`` behind it if read-only, ``:copy`` if a copy; empty: the session's own."""
    container: str = ""
    """The label by which the engine finds the container; empty if none can be there."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    """Limits and permissions of the sandbox, by the names of the settings."""
    env: tuple[str, ...] = ()
    """Names of the variables that the user gave to the code."""
    secret: tuple[str, ...] = ()
    """Names of the variables that the user passed on as secrets."""


    def settings(self) -> dict[str, Any]:
        """Return the settings that make the same sandbox again, and let the same model answer."""
        limits = {name: value for name, value in self.policy.items() if name in _SETTINGS}
        named = {"image": self.image, "engine": self.engine, "model": self.model if self.model != _FALLBACK else ""}
        limits |= {name: value for name, value in named.items() if value}
        return limits | {"workspace": self.workspace or None}


_FALLBACK = "demo"
"""The model that answers where none is configured, which by the next time may be otherwise."""
_SETTINGS = {each.name for each in fields(Policy)} & {each.name for each in fields(Settings)}
_FIELDS = {each.name: each for each in fields(Record)}


@dataclass(frozen=True)
class Session:
    """One session's folder. Methods raise WorkspaceError when the disk refuses."""

    folder: Path

    @property
    def name(self) -> str:
        """Return the session's name, unique on this machine: that of its folder."""
        return self.folder.name

    @property
    def own_workspace(self) -> Path:
        """Return the private folder that is mounted at /workspace where the user named none."""
        return self.folder / "workspace"

    @property
    def events(self) -> Path:
        """Return the path of the event log."""
        return self.folder / "events.jsonl"

    @property
    def exists(self) -> bool:
        """Tell whether the folder is a session's."""
        return (self.folder / _RECORD).is_file()

    def record(self) -> Record:
        """Return what the session is; what cannot be read of it is empty."""
        import yaml

        # The loader in C, where there is one, takes a tenth of the time.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            data = yaml.load((self.folder / _RECORD).read_bytes(), loader)  # noqa: S506 - both loaders are the safe ones
        except (OSError, ValueError, yaml.YAMLError):
            data = None
        known = data if isinstance(data, dict) else {}
        return Record(**{name: _as_declared(name, value) for name, value in known.items()
                         if name in _FIELDS and _as_declared(name, value) is not None})

    def describe(self, record: Record) -> None:
        """Write what the session is, in one step: whoever reads it meanwhile sees the old or the new."""
        import yaml

        data = {"id": self.name} | {name: list(value) if isinstance(value, tuple) else value
                                    for name, value in asdict(record).items()}
        text = yaml.safe_dump(data, allow_unicode=True, sort_keys=False)
        draft = self.folder / f".{_RECORD}.{os.getpid()}"
        try:
            with draft.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.folder / _RECORD)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise refused("write to", self.folder / _RECORD, error) from error

    def make_workspace(self) -> Path:
        """Return the private workspace, which belongs to the container's user and is made if need be."""
        return self.make_folder(self.own_workspace.name)

    def make_folder(self, name: str, *, user: str = f"{SANDBOX_UID}:{SANDBOX_UID}") -> Path:
        """Return the session's folder of that name, for code to write to, which is made if need be.

        Where this process is root, it belongs to ``user``, ``uid:gid``. Raises WorkspaceError.
        """
        folder = self.folder / name
        try:
            folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(folder, *map(int, user.split(":")))
        except FileExistsError:
            pass
        except OSError as error:
            raise refused("create", folder, error) from error
        return folder

    def save_picture(self, data: bytes, suffix: str) -> Path:
        """Return the path of a file under ``pictures`` that holds ``data``; ``suffix`` like ``.png``.

        A picture that is there already is not kept twice.
        """
        folder = self.folder / "pictures"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for path in numbered(folder / f"picture{suffix}", first=1):
                if _create(path, data) or (path.stat().st_size == len(data) and path.read_bytes() == data):
                    return path
        except OSError as error:
            raise refused("save a picture in", folder, error) from error
        raise AssertionError("an endless count ended")

    def discard(self) -> None:
        """Remove the folder with all in it. Raises SandboxError if any is left."""
        erase(self.folder)


def _create(path: Path, data: bytes) -> bool:
    """Write a new file, and tell whether there was none of that name. Raises OSError, leaving none."""
    try:
        file = path.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(data)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True


def _as_declared(name: str, value: Any) -> Any:
    """Return a value of the record if it has the type of its field, else None: people may edit the file."""
    kind = str(_FIELDS[name].type)
    if kind.startswith("tuple"):
        return tuple(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else None
    return value if isinstance(value, dict if kind.startswith("Mapping") else str) else None


def numbered(path: Path, *, first: int = 0) -> Iterator[Path]:
    """Yield names like ``path`` with a number before the suffix, from ``first`` on; ``path`` itself stands for 0.

    From 0 the next number is 2: the second of its name.
    """
    if not first:
        yield path
    for number in itertools.count(first or 2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def refused(what: str, path: Path, error: OSError) -> WorkspaceError:
    """Return the error for what the disk did not let us do, such as ``write to``, with ``path``."""
    return WorkspaceError(f"Cannot {what} {path}: {error.strerror or error}.",
                          next_step="Make room there, or name another place: export SBI_DATA_DIR=DIR")
