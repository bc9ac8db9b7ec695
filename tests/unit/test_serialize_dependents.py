"""Functions that run only where a check allows it, and functions with a cache."""

from __future__ import annotations

import json
import pickle
import sys
import types

import numpy as np
import pytest

from hippodrome import serialize
from hippodrome.client.chunk import Chunk, Raised
from hippodrome.errors import SerializationError, UnmetDependency
from hippodrome.serialize import can, depend, dependent, require, uncan
from support.serializing import Engine, Main


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def only_here(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module that can be imported, until `monkeypatch` takes it away."""
    module = types.ModuleType("only_here")
    module.answer = 42  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", module)
    return module


def test_a_function_runs_where_its_dependency_is_met(main, engine):
    main.run("""
        def is_large(n, least=0): return n > least
        def f(x): return x + 1
    """)
    for args, kwargs in (((1,), {}), ((7,), {"least": 6})):
        assert engine.call(depend(main["is_large"], *args, **kwargs)(main["f"]), 1) == 2


@pytest.mark.parametrize("answer", [False, np.False_])
def test_a_dependency_that_is_false_is_not_met(engine, answer):
    f = dependent(lambda x: x, lambda: answer)
    with pytest.raises(UnmetDependency, match="not met here"):
        engine.call(f, 1)


@pytest.mark.parametrize("answer", [None, 0, [], True, np.True_, np.zeros(2)])
def test_only_false_is_false(engine, answer):
    assert engine.call(dependent(lambda x: x, lambda: answer), 1) == 1


def test_a_dependency_may_raise_that_it_is_not_met(main, engine):
    main.run("""
        from hippodrome import UnmetDependency
        def check(): raise UnmetDependency('no gpu')
        def f(): ran.append(1)
    """)
    engine.namespace["ran"] = []
    with pytest.raises(UnmetDependency, match="no gpu"):
        engine.call(depend(main["check"])(main["f"]))
    assert not engine.namespace["ran"]


def test_a_dependency_sees_the_engines_variables_at_each_call(main, engine):
    main.run("""
        def check(): return is_free
        def f(): return 'ran'
    """)
    f = depend(main["check"])(main["f"])
    engine.namespace["is_free"] = True
    assert engine.call(f) == "ran"
    engine.namespace["is_free"] = False
    with pytest.raises(UnmetDependency):
        engine.call(f)


def test_dependencies_can_be_stacked_and_all_must_be_met(engine):
    for first, second in ((True, False), (False, True)):
        f = depend(lambda met=first: met)(depend(lambda met=second: met)(lambda: 1))
        with pytest.raises(UnmetDependency):
            engine.call(f)
    assert engine.call(require("json")(depend(lambda: True)(lambda: 1))) == 1


def test_an_async_dependency_is_a_type_error_and_not_met_silently(engine):
    async def check() -> bool:
        return False

    with pytest.raises(TypeError, match="async"):
        engine.call(depend(check)(lambda: 1))


def test_a_dependent_function_is_called_like_the_function_it_wraps(main):
    main.run("def f(x):\n    'Doc.'\n    return x")
    f = depend(lambda: True)(main["f"])
    assert (f.__name__, f.__doc__, f(3), f.f) == ("f", "Doc.", 3, main["f"])
    assert repr(f) == "<dependent f>"


def test_a_function_that_changes_is_sent_as_it_is_now(main, engine):
    main.run("N = 1\ndef f(): return N")
    f = depend(lambda: True)(main["f"])
    assert engine.call(f) == 1
    main.run("N = 2")
    assert engine.call(f) == 2


def test_what_a_function_makes_while_it_runs_finds_what_it_captured(main, engine):
    main.run("""
        N = 3
        def helper(): return N
        def f(): return [(lambda: helper() + i)() for i in range(2)]
    """)
    assert engine.call(depend(lambda: True)(main["f"])) == [3, 4]


def test_what_another_function_captured_under_the_same_name_is_not_seen(main, engine):
    main.run("N = 3\ndef f(): return (lambda: N)()")
    there = engine.load(depend(lambda: True)(main["f"]))
    with serialize.unpickling_in(engine.namespace):
        assert there() == 3
    main.run("N = 99\ndef g(): return N")
    assert engine.call(main["g"]) == 99
    with serialize.unpickling_in(engine.namespace):
        assert there() == 3


@pytest.mark.parametrize("wrong", [3, "f", None])
def test_what_cannot_be_called_is_refused_when_it_is_decorated(wrong):
    with pytest.raises(TypeError, match="not callable"):
        depend(wrong)
    with pytest.raises(TypeError, match="not callable"):
        depend(len)(wrong)


def test_modules_are_required_by_name_or_as_such(engine):
    f = require("json", "xml.dom")(lambda: (json.loads("[1]"), xml.dom.__name__))  # noqa: F821
    assert engine.call(f) == ([1], "xml.dom")
    assert {"json", "xml"} <= engine.visible
    assert engine.call(require(json)(lambda: 1)) == 1


def test_a_module_that_is_not_there_is_an_unmet_dependency(engine):
    with pytest.raises(UnmetDependency, match="no_such_module"):
        engine.call(require("no_such_module")(lambda: 1))


def test_in_the_program_that_made_it_a_dependent_function_is_the_function():
    assert require("no_such_module")(lambda: 1)() == 1
    assert depend(lambda: False)(depend(lambda: False)(lambda x: x))(3) == 3


def test_a_dependency_can_be_checked_by_itself():
    require("json")(len).check_dependency()
    for f in (require("no_such_module")(len), depend(lambda: False)(len)):
        with pytest.raises(UnmetDependency):
            f.check_dependency()


def test_a_required_function_can_be_canned_and_uncanned():
    f = require("json")(lambda x: x + 1)
    for g in (None, {}):
        again = uncan(can(f), g)
        assert isinstance(again, dependent)
        assert again(1) == 2


def test_a_function_that_uses_a_module_which_is_not_there_is_not_even_unpickled(
    main, engine, only_here, monkeypatch
):
    main.run("""
        import only_here
        def f(): return only_here.answer
    """)
    f = require("only_here")(main["f"])
    assert engine.call(f) == 42
    function, call = serialize.FunctionPickler().pickle(f), serialize.dumps_call((), {})
    monkeypatch.setitem(sys.modules, "only_here", None)
    with pytest.raises(UnmetDependency, match="only_here"):
        Engine().run(function.data, call.payload)


def test_arguments_that_need_a_required_module_are_not_unpickled_without_it(
    main, engine, only_here, monkeypatch
):
    data = serialize.FunctionPickler().pickle(require("only_here")(lambda x: x)).data
    monkeypatch.setitem(sys.modules, "only_here", None)
    with pytest.raises(UnmetDependency):
        serialize.load_function(data, engine.namespace)
    assert isinstance(pickle.loads(data), dependent), "where it is no engine nothing is imported"


def test_required_functions_and_objects_are_the_engines_variables(main, engine):
    main.run("""
        def foo(x): return x * x
        def bar(a): return foo(1 - a) + offset
    """)
    assert engine.call(require(main["foo"], offset=10)(main["bar"]), 3) == 14
    assert {"foo", "offset"} <= engine.visible


def test_a_required_object_is_new_at_each_call(main, engine):
    main.run("def f():\n    seen.append(1)\n    return len(seen)")
    f = require(seen=[])(main["f"])
    assert [engine.call(f), engine.call(f)] == [1, 1]


@pytest.mark.parametrize("wrong", [3, None, [len], "not a name", "a..b", ""])
def test_what_cannot_be_required_is_a_type_error(wrong):
    with pytest.raises(TypeError, match="require takes"):
        require(wrong)


def test_an_error_names_the_part_that_cannot_be_pickled(main):
    main.run("""
        import threading
        def make(lock): return lambda: lock
        f = make(threading.Lock())
    """)
    pickler = serialize.FunctionPickler()
    for f in (depend(lambda: True)(main["f"]), depend(main["f"])(lambda: 1)):
        with pytest.raises(SerializationError, match=r"its variable 'lock'\) of type lock"):
            pickler.pickle(f)
    with pytest.raises(SerializationError, match=r"\['x'\] of type lock"):
        pickler.pickle(require(x=main["threading"].Lock())(len))


def test_a_chunk_checks_once_and_before_its_elements():
    checked = []

    def check() -> bool:
        checked.append(1)
        return len(checked) < 2

    chunk = Chunk(depend(check)(lambda x: x), return_exceptions=True)
    assert chunk([1, 2, 3]) == [1, 2, 3]
    with pytest.raises(UnmetDependency):
        chunk([1])


def test_an_element_that_the_engine_cannot_run_refuses_the_chunk_and_others_are_kept():
    def f(x: int) -> int:
        if x == 1:
            raise UnmetDependency
        return 1 // x

    chunk = Chunk(f, return_exceptions=True)
    assert isinstance(chunk([0])[0], Raised)
    with pytest.raises(UnmetDependency):
        chunk([0, 1])


def test_functions_with_a_cache_are_rebuilt_around_the_function(main, engine):
    main.run("""
        import functools
        @functools.lru_cache(maxsize=7, typed=True)
        def f(x): return x + 1
        @functools.cache
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        def user(n): return fib(n)
    """)
    assert engine.call(main["f"], 1) == 2
    assert engine.load(main["f"]).cache_parameters() == {"maxsize": 7, "typed": True}
    assert engine.call(main["fib"], 60) == 1548008755920
    assert engine.call(main["user"], 60) == 1548008755920
    there = engine.load(main["fib"])
    assert there is not main["fib"]
    assert there.__name__ == "fib"
    assert there.cache_info().misses == 61, "it calls itself through its own cache"
    assert main["fib"].cache_info().misses == 0


def test_a_decorated_function_of_a_module_can_be_sent(engine, tmp_path, monkeypatch):
    tmp_path.joinpath("decorated.py").write_text(
        "import functools\n"
        "from hippodrome import depend, require\n"
        "def helper(x): return x + 1\n"
        "@depend(lambda: True)\n@require('json')\n"
        "def f(x): return helper(x), json.__name__\n"
        "@functools.cache\ndef cached(x): return helper(x)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import decorated

    assert engine.call(decorated.f, 1) == (2, "json")
    assert engine.load(decorated.cached) is decorated.cached, "what can be imported goes by name"


def test_cached_methods_of_classes_of_main_come_along(main, engine):
    main.run("""
        import functools
        class C:
            @functools.lru_cache
            def method(self, x): return x + 1
            @staticmethod
            @functools.cache
            def static(x): return x + 2
        def f(x): return C().method(x), C.static(x)
    """)
    assert engine.call(main["f"], 1) == (2, 3)


def test_a_cached_function_that_cannot_be_pickled_is_named(main):
    main.run("""
        import functools, threading
        def make(lock): return functools.cache(lambda: lock)
        f = make(threading.Lock())
    """)
    with pytest.raises(SerializationError, match=r"its variable 'lock'\) of type lock"):
        serialize.FunctionPickler().pickle(main["f"])
