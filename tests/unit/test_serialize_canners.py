"""Types that users have travel in ways of their own."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import hippodrome as ipp
from hippodrome import serialize
from hippodrome.errors import SerializationError
from hippodrome.serialize import canning
from support.serializing import Engine, Main, unpack


class Point:
    """Cannot be pickled."""

    def __init__(self, x: Any) -> None:
        self.x = x

    def __reduce__(self) -> Any:
        raise TypeError("points cannot be pickled")


class Canned:
    def __init__(self, x: Any) -> None:
        self.x = x


class CannedFurther(Canned):
    pass


def can_point(point: Point) -> Canned:
    return Canned(point.x)


def uncan_point(canned: Canned, namespace: Any) -> Point:
    point = Point(canned.x)
    point.namespace = namespace
    return point


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    yield
    ipp.can_map.clear()
    ipp.uncan_map.clear()


@pytest.fixture
def points() -> None:
    ipp.can_map[Point] = can_point
    ipp.uncan_map[Canned] = uncan_point


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


def test_the_maps_have_one_home():
    assert ipp.can_map is serialize.can_map is canning.can_map
    assert ipp.uncan_map is serialize.uncan_map is canning.uncan_map


def test_can_and_uncan_do_what_the_maps_say(points):
    canned = ipp.can(Point(3))
    assert type(canned) is Canned
    namespace = {"a": 1}
    point = ipp.uncan(canned, namespace)
    assert (type(point), point.x, point.namespace) == (Point, 3, namespace)
    assert ipp.uncan(CannedFurther(4)).x == 4, "derived ones count"
    assert ipp.uncan(ipp.can([1, Point(2)]))[1].x == 2


def test_only_the_very_type_is_canned(points):
    class Further(Point):
        pass

    with pytest.raises(SerializationError, match="points cannot be pickled"):
        ipp.serialize_object(Further(1))


def test_objects_are_found_at_any_depth(points):
    sent = {"a": [Point(1), (Point(np.ones(10_000)), np.zeros(5_000))]}
    found, _ = ipp.deserialize_object([bytes(frame) for frame in ipp.serialize_object(sent)])
    first, (second, array) = found["a"]
    assert (first.x, second.x.sum(), array.shape) == (1, 10_000, (5_000,))


def test_arguments_and_results_of_calls_are_canned(main, points):
    main.run("def f(point, *, k): return [point, k, there]")
    engine = Engine()
    engine.namespace["there"] = 5
    one, two, there = engine.call(main["f"], Point(1), k=Point(2))
    assert (one.x, two.x, there) == (1, 2, 5)
    frames = [bytes(b) for b in ipp.pack_apply_message(main["f"], [Point(1)], {"k": 2})]
    namespace = {"__name__": "__main__"}
    _, (point,), _ = ipp.unpack_apply_message(frames, namespace)
    assert point.namespace is namespace


def test_what_a_function_uses_is_canned_too_however_often_it_was_sent(main):
    main.run("def f(): return g()\ndef g(): return 1")
    engine = Engine()
    assert engine.call(main["f"]) == 1
    ipp.can_map[types.FunctionType] = lambda f: Canned(f.__name__)
    ipp.uncan_map[Canned] = lambda canned, namespace: lambda: (canned.x, namespace)
    assert engine.call_there(main["f"]) == ("f", engine.namespace)
    ipp.can_map.clear()
    assert engine.call(main["f"]) == 1


def test_where_nobody_knows_better_it_arrives_canned(points):
    ipp.uncan_map.clear()
    assert type(unpack(serialize.dumps(Point(1)))) is Canned


def test_what_is_canned_may_hold_the_object_itself():
    ipp.can_map[Canned] = lambda obj: ("wrapped", obj, [obj])
    _, first, (second,) = unpack(serialize.dumps(Canned(1)))
    assert type(first) is Canned
    assert first is second
    one, two = unpack(serialize.dumps([Canned(3), Canned(4)]))
    assert (one[1].x, two[1].x) == (3, 4)


def test_one_object_is_one_object_afterwards(points):
    point = Point(1)
    first, second = unpack(serialize.dumps([point, point]))
    assert first is second


def test_names_are_looked_up_once_their_package_is_there(monkeypatch, points):
    ipp.can_map["of_points.inner.Named"] = can_point
    ipp.uncan_map["of_points.Alias"] = uncan_point
    assert unpack(serialize.dumps(1 + 0j)) == 1
    assert "of_points.inner.Named" in ipp.can_map, "nothing is imported for it"
    package, inner = types.ModuleType("of_points"), types.ModuleType("of_points.inner")
    package.__path__ = []
    inner.Named = type("Named", (), {"x": 5})
    package.inner, package.Alias = inner, Canned
    monkeypatch.setitem(sys.modules, "of_points", package)
    monkeypatch.setitem(sys.modules, "of_points.inner", inner)
    del ipp.uncan_map[Canned]
    assert unpack(serialize.dumps([inner.Named()]))[0].x == 5
    assert ipp.can_map.keys() == {Point, inner.Named}


def test_a_name_of_nothing_is_said_aloud_once(points):
    ipp.can_map["hippodrome.Nothing"] = can_point
    with pytest.warns(RuntimeWarning, match=r"hippodrome\.Nothing"):
        serialize.dumps([Point(1)])
    serialize.dumps([Point(1)])


@pytest.mark.parametrize("kind", [list, bytes, "builtins.dict"])
def test_types_that_are_always_sent_as_they_are_cannot_be_keys(main, kind):
    ipp.can_map[kind] = repr
    main.run("def f(): pass")
    for send in (serialize.dumps, ipp.can, lambda obj: serialize.dumps_call((obj,), {})):
        with pytest.raises(TypeError, match="can_map has"):
            send([1])
    with pytest.raises(TypeError, match="can_map has"):
        serialize.FunctionPickler().pickle(main["f"])


def test_what_a_canner_raises_names_the_argument(points):
    ipp.can_map[Point] = lambda point: 1 / 0
    with pytest.raises(SerializationError, match=r"argument 1\[0\].*division by zero"):
        serialize.dumps_call((1, [Point(1)]), {})
