"""What was alike, here and in a sandbox, when both were last looked at; kept in a file for who comes after us."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sandbox_interpreter.sandbox.plan import Pull
    from sandbox_interpreter.sandbox.tree import Entry


class Pair(NamedTuple):
    """The marks of one name on both sides; "" where it was not there."""

    here: str
    there: str


NOTHING = Pair("", "")


class Known:
    """The pairs by name, and the names that are disputed: changed on both sides, so that there are two of them here."""

    def __init__(self, record: Path | None) -> None:
        self._record = record
        self._container = ""
        self._pairs: dict[str, Pair] = {}
        self._beside: dict[str, str] = {}
        self._changed = False

    def begin(self, container: str) -> None:
        """Know nothing, of a new container."""
        self._container, self._pairs, self._beside, self._changed = container, {}, {}, True

    def load(self, container: str) -> None:
        """Know what is recorded of a container; nothing, where that is not to be read: then contents are compared."""
        self.begin(container)
        try:
            data = json.loads(self._record.read_bytes()) if self._record else {}
            if data.get("container") == container:
                self._pairs = {name: Pair(str(here), str(there)) for name, (here, there) in data["pairs"].items()}
                self._beside = {str(name): str(beside) for name, beside in data["beside"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            self.begin(container)

    def save(self) -> None:
        """Write it down where anything is new; a disk that refuses costs a comparison of contents later."""
        if not self._record or not self._changed:
            return
        draft = self._record.with_name(f".{self._record.name}.{os.getpid()}")
        with suppress(OSError):
            draft.write_text(json.dumps({"container": self._container, "pairs": self._pairs, "beside": self._beside}))
            draft.replace(self._record)
            self._changed = False

    def __iter__(self) -> Iterator[str]:
        """Return an iterator over the names."""
        return iter(list(self._pairs))

    def __getitem__(self, name: str) -> Pair:
        """Return the pair of a name."""
        return self._pairs.get(name, NOTHING)

    def __setitem__(self, name: str, pair: Pair) -> None:
        """Remember a pair."""
        if self._pairs.get(name) != pair:
            self._pairs[name] = pair
            self._changed = True

    def forget(self, name: str) -> None:
        """Know nothing of a name that is on neither side."""
        self._changed = self._pairs.pop(name, None) is not None or self._changed

    def news(self, here: Mapping[str, Entry]) -> bool:
        """Tell whether anything here is new or another; what was deleted is no news, since no deletion travels."""
        return any(entry.mark != self[name].here for name, entry in here.items())

    def beside(self, name: str, here: Mapping[str, Entry]) -> str:
        """Return the name of the other one of a disputed name; "" where it is not, or not any more."""
        if name in self._beside and self._beside[name] not in here:  # whoever has removed it has settled it
            del self._beside[name]
            self._changed = True
        return self._beside.get(name, "")

    def dispute(self, name: str, beside: str, mark: str) -> None:
        """Remember that ``beside``, with that mark, is what the sandbox has made of ``name``."""
        self._beside[name] = beside
        self[beside] = Pair(mark, "")  # it is not copied back

    def arrived(self, pull: Pull, mark: str) -> None:
        """Remember a file that came from the sandbox, and has that mark here."""
        if pull.target != pull.name:
            self[pull.target] = Pair(mark, "")
        self[pull.name] = Pair(mark if pull.target == pull.name else self[pull.name].here, pull.mark)
