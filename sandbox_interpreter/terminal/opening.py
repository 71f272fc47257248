"""An interpreter that is made when it is first needed, so that a prompt is there before what answers it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sandbox_interpreter.config import Settings

if TYPE_CHECKING:
    from sandbox_interpreter.interpreter import Interpreter


class Opening:
    """A context in which ``interpreter`` is made by the first use of it, and closed at the end if it was made.

    ``make`` is called once. It raises nothing that could not be told behind the first prompt.
    """

    def __init__(self, settings: Settings, make: Callable[[], Interpreter]) -> None:
        self._settings = settings
        self._make = make
        self.made: Interpreter | None = None
        """The interpreter, once it was needed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self.made:
            self.made.__exit__(kind, error, trace)

    @property
    def interpreter(self) -> Interpreter:
        """Return the interpreter."""
        if self.made is None:
            self.made = self._make()
        return self.made

    @property
    def settings(self) -> Settings:
        """Return the interpreter's settings, or those that it will be made with."""
        return self.made.settings if self.made else self._settings
