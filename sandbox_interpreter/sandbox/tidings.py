"""What a user should know of a workspace that is a copy: each thing once, a few names of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox_interpreter.sandbox.artifacts import Unwritable
from sandbox_interpreter.sandbox.transfer import Refused

_NAMED = 5
_MOST = 10_000
_LEFT = {"f": "a folder is in its way", "d": "what is no folder is in its way", "l": "a link", "o": "no file",
         "u": "a folder that cannot be read"}


class Tidings:
    """Collects until ``tell``, which tells ``notify``. ``folder`` is the one here."""

    def __init__(self, folder: Path, notify: Callable[[str], object]) -> None:
        self._folder = folder
        self._notify = notify
        self._said: set[tuple[str, str]] = set()
        self._kept: list[str] = []
        self._not_out: list[str] = []
        self._not_in: list[str] = []
        self._disputed: list[str] = []

    def kept(self, name: str) -> None:
        """A file was deleted in the sandbox, and is kept here."""
        self._kept.append(_shown(name))

    def left(self, name: str, kind: str) -> None:
        """Something is left in the sandbox for what it is."""
        self._once(self._not_out, name, _LEFT[kind])

    def failed_out(self, name: str, reason: str) -> None:
        """Something could not be copied out of the sandbox."""
        self._once(self._not_out, name, reason)

    def failed_in(self, name: str, reason: str) -> None:
        """Something could not be copied into the sandbox."""
        self._once(self._not_in, name, reason)

    def disputed(self, name: str, beside: str) -> None:
        """A file was changed on both sides."""
        self._disputed.append(f"{_shown(name)} (the sandbox's: {_shown(beside)})")

    @contextmanager
    def failing(self, name: str) -> Iterator[None]:
        """Collect why one file cannot be copied out; what concerns all of them is raised."""
        try:
            yield
        except (Refused, Unwritable) as error:
            self._once(self._not_out, name, error.reason)

    def _once(self, place: list[str], name: str, why: str) -> None:
        if (name, why) not in self._said and len(self._said) < _MOST:  # names may be made up without end
            self._said.add((name, why))
            place.append(f"{_shown(name)} ({why})")

    def tell(self) -> None:
        """Tell what there is to tell, and forget it."""
        folder = self._folder
        for text, names in ((f"Changed both in {folder} and in the sandbox; yours stay as they are", self._disputed),
                            (f"Deleted in the sandbox, kept in {folder}", self._kept),
                            (f"Left in the sandbox, not in {folder}", self._not_out),
                            (f"Not copied into the sandbox from {folder}", self._not_in)):
            if names:
                more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
                self._notify(f"{text}: {', '.join(names[:_NAMED])}{more}.")
                names.clear()


def _shown(name: str) -> str:
    """Return a name as it can be shown: a guest may have chosen it."""
    return name if name.isprintable() and len(name) <= 200 else f"{name[:80]!a}"
