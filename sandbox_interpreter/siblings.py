"""Further sandboxes of a session, for languages that its own image lacks: other images on the same workspace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

from sandbox_interpreter import languages
from sandbox_interpreter.catalogue import index
from sandbox_interpreter.errors import SandboxInterpreterError
from sandbox_interpreter.sandbox.sandbox import Sandbox


class Siblings:
    """The sandboxes beside a session's first, one for each image; ``notify`` is told, in a sentence, of each."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._made: dict[str, Sandbox] = {}
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Sandbox]:
        """Return an iterator over those that there are."""
        return iter(list(self._made.values()))

    def serving(self, language: str, first: Sandbox, make: Callable[[str], Sandbox]) -> Sandbox:
        """Return the sandbox for a language: ``first``, or a sibling of the smallest image that has it.

        ``make`` makes the sandbox of an image. Raises UnknownLanguage, WorkspaceError, UsageError.
        """
        known = languages.find(language)
        if known.is_built_in:
            return first  # which need not wait for the images' records to be read
        name, image = known.name, index.serving(known.name, first.image)
        if image == first.image:
            return first
        with self._lock:
            if image not in self._made:
                self._notify(f"The image {first.image!r} has no {name}; it runs in a sandbox of the image {image!r}, "
                             "on the same files.")
                self._made[image] = make(image)
                with suppress(SandboxInterpreterError):  # of a session that is taken up again; else it is a new one
                    self._made[image].reattach()
            return self._made[image]

    def close(self) -> None:
        """End them all. Raises what the first that fails raises, once every one has been tried."""
        made, self._made = self._made, {}
        with ExitStack() as stack:
            for sandbox in made.values():
                stack.callback(sandbox.close)
