"""Serialization by steps, and the names that do nothing any more."""

from __future__ import annotations

import pickle
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import hippodrome as ipp
from hippodrome import serialize
from hippodrome.errors import SerializationError
from support.serializing import Engine, Main, unpack


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


def test_what_is_canned_belongs_to_the_namespace_in_which_it_is_uncanned(main):
    main.run("def f(x): return x + y")
    canned = ipp.can([main["f"], ipp.Reference("y")])
    f, y = ipp.uncan(pickle.loads(pickle.dumps(canned)), {"__name__": "__main__", "y": 2})
    assert (f(1), y) == (3, 2)
    assert ipp.uncan("never canned") == "never canned"


def test_a_reference_is_what_it_stands_for_in_the_namespace_that_is_given():
    reference = ipp.Reference("y + 1")
    assert reference.get_object({"y": 2}) == ipp.uncan(reference, {"y": 2}) == 3
    assert ipp.uncan(reference) is reference
    with pytest.raises(NameError):
        reference.get_object()


def test_objects_become_buffers_and_come_back_before_what_follows():
    value = {"a": np.arange(10_000), "b": "text", "c": b"x" * 100_000}
    frames = ipp.serialize_object(value, buffer_threshold=1, item_threshold=2)
    assert len(frames) == 3, "large arrays and pickles are frames of their own"
    sent = [bytes(frame) for frame in frames]
    found, rest = ipp.deserialize_object([*sent, b"more"])
    assert (found["a"] == value["a"]).all()
    assert found["c"] == value["c"]
    assert rest == [b"more"]
    with pytest.raises(ValueError, match="not all"):
        ipp.deserialize_object(sent[:-1])
    with pytest.raises(ValueError, match="not all"):
        ipp.deserialize_object([])
    with pytest.raises(TypeError, match="unexpected"):
        ipp.serialize_object(1, treshold=1)


def test_calls_become_buffers_and_come_back(main):
    main.run("def f(x, *, k): return x.sum() + k + there")
    frames = ipp.pack_apply_message(main["f"], [np.ones(10_000)], {"k": 1})
    namespace = {"__name__": "__main__", "there": 5}
    f, args, kwargs = ipp.unpack_apply_message([bytes(frame) for frame in frames], namespace)
    assert f(*args, **kwargs) == 10_006
    with pytest.raises(ValueError, match="none"):
        ipp.unpack_apply_message([])


@pytest.mark.parametrize("n", [3, 100_000])
def test_what_was_pickled_before_arrives_as_it_was_then(main, n):
    main.run("class Point: pass")
    point = main["Point"]()
    point.values = np.zeros(n)
    ready = ipp.PrePickled(point)
    point.values[0] = 1.0
    for _ in range(2):
        arrived, inside = Engine().call_there(lambda x, *, k: (x, k), ready, k=[ready])
        assert inside[0] is arrived
        assert arrived.values.sum() == 0.0
        arrived.values[0] = 2.0
    assert unpack(serialize.dumps(ready)).values[0] == 0.0, "arriving does not change it"
    assert pickle.loads(pickle.dumps(ready, 4)).values[0] == 0.0
    assert repr(ready) == "<PrePickled Point>"


def test_a_function_that_was_pickled_before_is_called_as_it_was_then(main):
    main.run("N = 1\ndef f(x): return x + N")
    ready = ipp.PrePickled(main["f"])
    main.run("N = 100")
    assert Engine().call(ready, 1) == 2
    assert (ready(1), ready.__name__) == (101, "f")
    assert isinstance(ready, ipp.PrePickled)
    with pytest.raises(TypeError, match="not callable"):
        Engine().call(ipp.PrePickled([1]), 1)


def test_what_cannot_be_pickled_is_refused_before_it_is_sent():
    with pytest.raises(SerializationError, match="lock"):
        ipp.PrePickled(__import__("threading").Lock())


@pytest.fixture
def dill(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Stands in for dill, which can send locks."""
    fake = types.ModuleType("dill")
    made: list[Any] = []

    def dumps(obj: Any) -> bytes:
        if not isinstance(obj, type(threading.Lock())):
            raise TypeError("not even dill can")
        made.append(obj)
        return b"a lock"

    fake.dumps, fake.made = dumps, made
    fake.loads = lambda data: threading.Lock() if data == b"a lock" else None
    monkeypatch.setitem(sys.modules, "dill", fake)
    yield fake
    ipp.use_pickle()


def test_choosing_a_pickler_changes_nothing_of_what_any_can_send(dill):
    value = [1, lambda: 1]
    before = serialize.dumps(value)
    for use in (ipp.use_dill, ipp.use_cloudpickle, ipp.use_pickle, serialize.use_dill):
        assert use() is None
        assert serialize.dumps(value) == before
    assert not dill.made


def test_what_only_dill_can_send_travels_where_it_is_asked_for(main, dill):
    main.run("""
        import threading
        lock = threading.Lock()
        class Job:
            def __init__(self): self.lock, self.n = threading.Lock(), 3
        def locked(job): return job.lock.acquire(False), job.n, lock.acquire(False)
    """)
    job = main["Job"]()
    with pytest.raises(SerializationError, match="lock"):
        serialize.dumps_call((job,), {})
    ipp.use_dill()
    assert Engine().call(main["locked"], job) == (True, 3, True)
    with pytest.raises(SerializationError, match="generator"):
        serialize.dumps_call(((i for i in range(3)),), {})
    ipp.use_cloudpickle()
    with pytest.raises(SerializationError, match="lock"):
        serialize.dumps_call((job,), {})


def test_without_dill_nothing_is_different(monkeypatch):
    monkeypatch.setitem(sys.modules, "dill", None)
    ipp.use_dill()
    with pytest.raises(SerializationError, match="lock"):
        serialize.dumps(threading.Lock())
