"""A frozen record is to its users what a frozen dataclass is."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable

import pytest

from sandbox_interpreter.frozen import frozen


@frozen
class Point:
    """A place."""

    x: int
    tags: tuple[str, ...] = ()
    note: str = dataclasses.field(default="", compare=False, repr=False)
    names: list[str] = dataclasses.field(default_factory=list, compare=False)

    def moved(self, by: int) -> Point:
        return dataclasses.replace(self, x=self.x + by)


@dataclasses.dataclass(frozen=True)
class Reference:
    x: int
    tags: tuple[str, ...] = ()


def test_it_is_made_compared_and_shown_as_a_dataclass_is() -> None:
    point = Point(1, ("a",), note="mine")
    assert (point.x, point.tags, point.note, point.names) == (1, ("a",), "mine", [])
    assert point == Point(1, ("a",))
    assert point != Point(2, ("a",))
    assert point.__eq__(Reference(1, ("a",))) is NotImplemented
    assert len({point, Point(1, ("a",)), Point(2)}) == 2
    assert repr(point) == "Point(x=1, tags=('a',), names=[])"
    assert repr(Reference(1)).replace("Reference", "Point").startswith(repr(Point(1)).partition(", names")[0])
    assert Point(1).names is not Point(1).names


def test_nothing_is_set_twice_or_anew_or_deleted() -> None:
    point = Point(1)
    changes: list[Callable[[], None]] = [lambda: setattr(point, "x", 2), lambda: setattr(point, "y", 2),
                                         lambda: delattr(point, "x")]
    for change in changes:
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    with pytest.raises(TypeError):
        Point()  # type: ignore[call-arg]  # that is what is tested
    assert vars(point) == {"x": 1, "tags": (), "note": "", "names": []}


def test_what_dataclasses_and_copies_know_of_a_dataclass_they_know_of_it() -> None:
    point = Point(1, ("a",))
    assert point.moved(2) == Point(3, ("a",))
    assert [field.name for field in dataclasses.fields(Point)] == ["x", "tags", "note", "names"]
    assert dataclasses.asdict(point) == {"x": 1, "tags": ("a",), "note": "", "names": []}
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point
    match point:
        case Point(x, tags):
            assert (x, tags) == (1, ("a",))


def test_a_method_of_its_own_stays() -> None:
    @frozen
    class Named:
        name: str

        def __repr__(self) -> str:
            return self.name

    assert repr(Named("x")) == "x"
