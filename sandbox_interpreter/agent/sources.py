"""The lines of cells, by which tracebacks, inspect and pdb show them: kept as long as any code of the cell lives."""

from __future__ import annotations

import sys
from _weakref import ref  # the weakref module costs 2 ms of a first cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

_SOURCES: dict[str, tuple[int, None, list[str], str]] = {}
_LIVING: dict[str, set[ref[CodeType]]] = {}


def remember(name: str, source: str, *codes: CodeType | None) -> None:
    """Keep the source of ``codes`` and of the functions in them until the last of these is gone; without any, for ever.

    A session may have a hundred thousand cells, and a function of the first of them may fail in the last.
    """
    _SOURCES[name] = (len(source), None, source.splitlines(keepends=True), name)
    if linecache := sys.modules.get("linecache"):
        linecache.cache[name] = _SOURCES[name]
    living = _LIVING[name] = set()

    def gone(code: ref[CodeType]) -> None:
        living.discard(code)
        if not living and _LIVING.get(name) is living:
            _forget(name)

    waiting = [code for code in codes if code is not None]
    while waiting:
        code = waiting.pop()
        living.add(_Identity(code, gone))
        waiting += [each for each in code.co_consts if isinstance(each, type(code))]


class _Identity(ref):  # type: ignore[type-arg]  # ref takes no argument before Python 3.9
    """A reference that is equal to itself alone: equal functions of one cell live and go on their own."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def publish() -> None:
    """Hand the cells' lines to linecache, once something has loaded it."""
    import linecache

    linecache.cache.update(_SOURCES)


def _forget(name: str) -> None:
    del _LIVING[name]
    _SOURCES.pop(name, None)
    if linecache := sys.modules.get("linecache"):
        linecache.cache.pop(name, None)
