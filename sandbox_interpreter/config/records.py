"""Small records of the user's own decisions, each a JSON map in the settings' folder."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from sandbox_interpreter.config.folders import config_folder, shown
from sandbox_interpreter.errors import ConfigError

_MOST_BYTES = 4 * 1024 * 1024


class Record(NamedTuple):
    """A record: the name of its file, what it is called in errors, and how it is mended when it is broken."""

    name: str
    what: str
    mend: str

    @property
    def path(self) -> Path:
        """Return where it is."""
        return config_folder() / self.name

    def read(self) -> dict[str, Any]:
        """Return what it holds; an empty map where there is none. Raises ConfigError."""
        try:
            with self.path.open("rb") as file:
                found = json.loads(file.read(_MOST_BYTES + 1))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise self._failed("read", error) from None
        if not isinstance(found, dict):
            raise self._failed("read", ValueError("it holds no map"))
        return found

    def write(self, content: Mapping[str, Any]) -> None:
        """Replace it in one step, so that whoever reads it sees the old or the new one. Raises ConfigError."""
        folder = config_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=folder, prefix=f"{self.path.stem}-")
            try:
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    json.dump(content, file, indent=1)
                Path(name).replace(self.path)
            except BaseException:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            raise self._failed("write", error) from None

    def _failed(self, verb: str, error: Exception) -> ConfigError:
        reason = getattr(error, "strerror", None) or error
        return ConfigError(f"Cannot {verb} the record of {self.what}, {shown(self.path)}: {reason}.",
                           next_step=self.mend)
