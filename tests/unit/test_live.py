"""Objects that stay in the program that made them, and what stands for them on engines."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest

from hippodrome import live, serialize
from hippodrome.errors import LeftBehindError, SerializationError
from hippodrome.live import Live, StandIn
from hippodrome.serialize import functionpickler
from hippodrome.serialize.byvalue import dump
from hippodrome.serialize.fixed import load
from support.serializing import Engine, Main, unpack


class View(Live):
    """Has a connection."""

    block = False

    def map(self, f, xs):
        return list(map(f, xs))

    def _instead(self):
        return "call it there"


class Travels(View):
    def __reduce__(self):
        return Travels, ()


@pytest.fixture
def main(monkeypatch):
    main = Main(monkeypatch)
    main.names["view"] = View()
    return main


@pytest.fixture
def engine():
    return Engine()


def elsewhere(obj):
    """Return what arrives in a process that has not made it."""
    data = dump(obj).data
    live._here.clear()
    return pickle.loads(data)


def test_what_is_not_used_hurts_nobody(main, engine):
    main.run("""
        from functools import partial
        class Toolbox: pass
        toolbox = Toolbox()
        toolbox.map = partial(view.map, abs)
        toolbox.n = 2
        def f(x): return x * toolbox.n
    """)
    assert engine.call(main["f"], 3) == 6


@pytest.mark.parametrize(
    "use",
    [
        lambda v: v.map,
        lambda v: v.block,
        lambda v: setattr(v, "block", True),
        lambda v: v._flags,
        lambda v: v(),
        lambda v: v[0],
        lambda v: len(v),
        lambda v: list(v),
        lambda v: 1 in v,
        lambda v: v.__enter__(),
        lambda v: v["a"],
    ],
)
def test_a_stand_in_that_is_used_says_what_it_stands_for(use):
    arrived = elsewhere(View())
    assert type(arrived) is StandIn
    with pytest.raises(LeftBehindError, match=r"a View cannot be used here.*call it there"):
        use(arrived)


def test_a_stand_in_may_be_looked_at():
    arrived = elsewhere(View())
    assert arrived
    assert arrived == arrived
    assert not hasattr(arrived, "_repr_html_")
    assert not hasattr(arrived, "__array__")
    assert repr(arrived) == "<View, which stayed in the program that made it>"
    assert type(copy.deepcopy([arrived])[0]) is StandIn


def test_a_method_arrives_and_raises_when_it_is_called():
    method = elsewhere({"f": View().map})["f"]
    with pytest.raises(LeftBehindError, match=r"a View cannot be used here, nor its `map`"):
        method(abs, [1])
    assert "map of" in repr(method)
    assert type(pickle.loads(pickle.dumps(method))) is type(method)


def test_what_comes_back_is_the_object_itself():
    view = View()
    back = unpack(serialize.dumps({"view": view, "map": view.map}))
    assert back["view"] is view
    assert back["map"] == view.map
    arrived = elsewhere([view, view.map])
    assert type(unpack(serialize.dumps(arrived))[0]) is StandIn
    dump(view)  # which makes it known here again
    assert unpack(serialize.dumps(arrived)) == [view, view.map]


def test_nobody_keeps_the_object_for_that():
    view = View()
    serialize.dumps({"view": view})
    ref = weakref.ref(view)
    del view
    gc.collect()
    assert ref() is None


@pytest.mark.parametrize(
    ("args", "kwargs", "part"),
    [
        ((1, View()), {}, "argument 1 is a View, which stays in this program: call it there"),
        (([View()],), {}, r"argument 0\[0\] is a View"),
        ((), {"x": (1, View())}, r"keyword 'x'\[1\] is a View"),
    ],
)
def test_an_argument_that_is_one_is_refused_at_the_call(args, kwargs, part):
    with pytest.raises(SerializationError, match=part):
        serialize.dumps_call(args, kwargs)
    serialize.dumps_call(({"options": View()},), {})


def test_a_method_of_one_is_refused_as_a_function(main):
    import functools

    for f in (main["view"].map, functools.partial(main["view"].map, abs)):
        with pytest.raises(SerializationError, match="is of a View, which stays in this program"):
            serialize.FunctionPickler().pickle(f)


def test_who_says_how_it_travels_is_asked(engine):
    assert type(elsewhere([Travels()])[0]) is Travels


def test_plain_pickle_refuses_and_copies_are_the_object():
    view = View()
    with pytest.raises(TypeError, match="a View belongs to its process"):
        pickle.dumps(view)
    assert copy.copy(view) is view
    assert copy.deepcopy({"a": [view]})["a"][0] is view


def test_a_function_that_has_one_is_pickled_once_and_can_be_called_again(main, monkeypatch):
    pickler = serialize.FunctionPickler()
    main.run("def f(): return view and 1")
    before = pickler.pickle(main["f"])
    main["view"].block = True
    with monkeypatch.context() as patch:
        patch.setattr(functionpickler, "dump", None)
        assert pickler.pickle(main["f"]) is before
    live._here.clear()
    _, guards = load(before.data)
    assert guards is not None, "a stand-in cannot change"
    main.names["view"] = View()
    assert pickler.pickle(main["f"]) is not before
