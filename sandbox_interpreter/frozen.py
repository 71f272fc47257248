"""Records that do not change, and that cost a start less than ``dataclass(frozen=True)``.

That compiles six functions from text for each class, which was a third of what `sbi run` did before its program ran.
Only ``__init__`` differs from one record to the next; the other five are written here once for all. A record is a
dataclass for ``fields``, ``replace``, ``asdict``, pattern matching and type checkers.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(cls: type[T]) -> type[T]:
    """Return ``cls`` as a record: its annotations are its fields, which are set once, when it is made."""
    made = dataclasses.dataclass(repr=False, eq=False)(cls)
    for method in (_repr, _eq, _hash, _setattr, _delattr):
        name = f"_{method.__name__}__"
        if name not in cls.__dict__:
            setattr(made, name, method)
    return made


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, name) for name, field in type(self).__dataclass_fields__.items() if field.compare)


def _repr(self: Any) -> str:
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name, field in type(self).__dataclass_fields__.items()
                       if field.repr)
    return f"{type(self).__qualname__}({fields})"


def _eq(self: Any, other: object) -> bool:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _setattr(self: Any, name: str, value: object) -> None:
    if name in self.__dict__ or name not in type(self).__dataclass_fields__:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    self.__dict__[name] = value


def _delattr(_self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
