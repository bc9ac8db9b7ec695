"""`depend` and `require`, with real engines of which only some will do."""

from __future__ import annotations

from typing import Any

import pytest

import hippodrome as ipp


def where() -> int:
    return me  # type: ignore[name-defined,no-any-return] # noqa: F821


def is_me(number: int) -> bool:
    return me == number  # type: ignore[name-defined,no-any-return] # noqa: F821


@pytest.fixture
def lv(client: Any) -> Any:
    for engine in client.ids:
        client[engine]["me"] = engine
        client[engine].execute(
            "import sys, types; sys.modules['on_one'] = types.ModuleType('on_one') if me else None",
            block=True,
        )
    return client.load_balanced_view()


@pytest.fixture
def dv(client: Any) -> Any:
    return client[:]


def test_a_task_goes_to_an_engine_that_meets_its_dependency(lv: Any) -> None:
    for number in (0, 1):
        f = ipp.depend(ipp.interactive(is_me), number)(ipp.interactive(where))
        assert [lv.apply_async(f).get(timeout=10) for _ in range(4)] == [number] * 4


def test_a_task_goes_to_an_engine_that_has_the_module(lv: Any) -> None:
    f = ipp.require("on_one")(ipp.interactive(where))
    assert [lv.apply_async(f).get(timeout=10) for _ in range(4)] == [1] * 4
    assert lv.map_async(ipp.require("on_one")(lambda x: x), range(5)).get(timeout=10) == [*range(5)]


def test_maps_and_decorated_functions_take_dependencies(lv: Any) -> None:
    f = ipp.depend(ipp.interactive(is_me), 1)(ipp.interactive(lambda x: (x, me)))  # type: ignore[name-defined] # noqa: F821
    expected = [(i, 1) for i in range(6)]
    for chunksize in (1, 2):
        assert lv.map_async(f, range(6), chunksize=chunksize).get(timeout=10) == expected
        ar = lv.map_async(f, range(6), chunksize=chunksize, return_exceptions=True)
        assert ar.get(timeout=10) == expected
    assert list(lv.imap(f, range(6))) == expected
    assert lv.remote(block=True)(f)(3) == (3, 1)
    assert lv.parallel(block=True)(f).map(range(6)) == expected


def test_a_dependency_that_no_engine_meets_is_impossible(lv: Any) -> None:
    with pytest.raises(ipp.ImpossibleDependency):
        lv.apply_async(ipp.depend(lambda: False)(len), ()).get(timeout=10)
    with pytest.raises(ipp.ImpossibleDependency, match="because: cannot import 'nowhere_at_all'"):
        lv.apply_async(ipp.require("nowhere_at_all")(len), ()).get(timeout=10)


def test_an_unmet_dependency_of_a_named_engine_is_an_error(client: Any, lv: Any, dv: Any) -> None:
    f = ipp.depend(ipp.interactive(is_me), 1)(ipp.interactive(where))
    assert client[1].apply_async(f).get(timeout=10) == 1
    with pytest.raises(ipp.UnmetDependency, match="is_me"):
        client[0].apply_async(f).get(timeout=10)
    with pytest.raises(ipp.CompositeError) as caught:
        dv.apply_async(f).get(timeout=10)
    assert [error[0] for error in caught.value.elist] == ["UnmetDependency"]


def test_what_is_required_is_on_the_engine_that_runs_the_task(client: Any, lv: Any) -> None:
    f = ipp.require(ipp.interactive(where), offset=10)(ipp.interactive(lambda: where() + offset))  # type: ignore[name-defined] # noqa: F821
    ar = lv.apply_async(f)
    assert ar.get(timeout=10) == 10 + ar.engine_id
    assert client[ar.engine_id]["offset"] == 10
