"""Each task starts from what was sent, whatever earlier tasks have done to it."""

from __future__ import annotations

import functools
import gc
import sys
import types
import weakref
from collections.abc import Iterator
from typing import Any, Final

import pytest
from cloudpickle import cloudpickle

from hippodrome.engine import namespace
from hippodrome.engine.attempts import StartAttempt
from hippodrome.engine.executor import Executor
from hippodrome.engine.functions import ENTRY_BYTES, LoadedFunctions
from hippodrome.engine.output import OutputCapture
from hippodrome.protocol.messages import Digest, MsgId
from hippodrome.serialize import Function, FunctionPickler, dumps_call, loads, set_namespace
from hippodrome.serialize.loaded import load
from support.serializing import Main

TRACKERS: Final = ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS")


class Site:
    """A client's ``__main__`` and an engine that runs what it sends."""

    def __init__(self, main: Main) -> None:
        self.main = main
        self.pickler = FunctionPickler()
        self.executor = Executor(OutputCapture())
        self._classes = {name: type(getattr(cloudpickle, name))() for name in TRACKERS}

    def call(self, f: Any, *args: Any) -> Any:
        return self.run(self.pickler.pickle(f), *args)

    def run(self, function: Function, *args: Any) -> Any:
        call = dumps_call(args, {})
        digest = Digest(function.digest)
        start = StartAttempt(1, MsgId("t"), 1, digest, call.payload, call.buffers, function.data)
        with pytest.MonkeyPatch.context() as patch:  # an engine has not made the client's classes
            for name, table in self._classes.items():
                patch.setattr(cloudpickle, name, table)
            ended = self.executor.run(start)
        assert ended.status == "ok", ended.failure
        return loads(ended.payload, ended.buffers)

    def is_kept(self, f: Any) -> bool:
        return load(self.pickler.pickle(f).data, namespace.user_namespace()).is_fixed


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    main = Main(monkeypatch)
    before = namespace.install()
    yield Site(main)
    set_namespace(None)
    sys.modules["__main__"] = before


STATEFUL = {
    "a bound method": """
        class Sim:
            def __init__(self): self.n = 0
            def run(self):
                self.n += 1
                return self.n
        f = Sim().run
    """,
    "an object that can be called": """
        class Sim:
            n = 0
            def __call__(self):
                self.n += 1
                return self.n
        f = Sim()
    """,
    "an attribute of a class": """
        class Sim:
            n = 0
        def f():
            Sim.n += 1
            return Sim.n
    """,
    "a partial with a dict": """
        import functools
        def use(found):
            found["n"] = found.get("n", 0) + 1
            return found["n"]
        f = functools.partial(use, {})
    """,
    "a closure over a list": """
        def make():
            found = []
            def f():
                found.append(1)
                return len(found)
            return f
        f = make()
    """,
    "a cell that is written to": """
        def make():
            n = 0
            def f():
                nonlocal n
                n += 1
                return n
            return f
        f = make()
    """,
    "a cell that a function inside writes to": """
        def make():
            n = 0
            def f():
                def add():
                    nonlocal n
                    n += 1
                add()
                return n
            return f
        f = make()
    """,
    "a default": """
        def f(found=[]):
            found.append(1)
            return len(found)
    """,
    "a default by keyword": """
        def f(*, found={}):
            found["n"] = found.get("n", 0) + 1
            return found["n"]
    """,
    "a captured list": """
        found = []
        def f():
            found.append(1)
            return len(found)
    """,
    "a list in a captured tuple": """
        found = (0, ("x", []))
        def f():
            found[1][1].append(1)
            return len(found[1][1])
    """,
    "what a captured function has captured": """
        found = []
        def add():
            found.append(1)
            return len(found)
        def g(): return add()
        def f(): return g()
    """,
    "a function that calls itself, and a list": """
        found = []
        def f(n=3):
            found.append(1)
            return f(n - 1) if n else len(found) - 3
    """,
    "a cache": """
        import functools
        @functools.lru_cache
        def f():
            calls.append(1)
            return len(calls)
        calls = []
    """,
    "a cache in a function": """
        import functools
        @functools.cache
        def square(x): return x * x
        def f():
            square(3)
            return square.cache_info().misses
    """,
    "an attribute of a function": """
        def f():
            f.calls += 1
            return f.calls
        f.calls = 0
    """,
    "a new attribute of a function": """
        def f():
            f.calls = getattr(f, "calls", 0) + 1
            return f.calls
    """,
    "an attribute of a helper": """
        def helper(): pass
        def f():
            helper.calls = getattr(helper, "calls", 0) + 1
            return helper.calls
    """,
    "the defaults of a helper": """
        def helper(n=0, *, m=0): return n + m
        def f():
            helper.__defaults__ = (helper() + 1,)
            return helper()
    """,
    "the keyword defaults of a helper": """
        def helper(*, n=0): return n
        def f():
            helper.__kwdefaults__["n"] += 1
            return helper()
    """,
    "a decorated function that counts": """
        import functools
        def counting(g):
            @functools.wraps(g)
            def wrapper():
                wrapper.n += 1
                return wrapper.n
            wrapper.n = 0
            return wrapper
        @counting
        def f(): pass
    """,
    "a captured generator's source": """
        import random
        rng = random.Random(1)
        first = random.Random(1).random()
        def f(): return int(rng.random() == first)
    """,
}


@pytest.mark.filterwarnings("ignore::hippodrome.errors.RandomCaptureWarning")
@pytest.mark.parametrize("source", STATEFUL.values(), ids=STATEFUL)
def test_each_task_starts_from_what_was_sent(site: Site, source: str) -> None:
    site.main.run(source)
    assert [site.call(site.main["f"]) for _ in range(3)] == [1, 1, 1]


def test_a_class_has_the_attributes_that_it_was_sent_with(site: Site) -> None:
    site.main.run("""
        class Model:
            rate = "A"
        keep = Model
        def f():
            added = [name for name in ("extra", "made") if hasattr(Model, name)]
            Model.made = 1
            kept.append(Model)
            return Model.rate, added
        def is_model(x): return isinstance(x, Model)
    """)
    site.call(namespace.push, {"kept": []})
    f, model = site.main["f"], site.main["Model"]
    assert site.call(f) == ("A", [])
    model.rate, model.extra = "B", 1
    assert site.call(f) == ("B", ["extra"])
    model.rate = "A"
    del model.extra
    assert site.call(f) == ("A", [])
    assert len(set(namespace.user_namespace()["kept"])) == 1, "it is one class all the time"
    assert site.call(site.main["is_model"], model())


def module(source: str) -> types.ModuleType:
    """Return a module that cannot be imported, so that its functions travel by value."""
    made = types.ModuleType("made_up")
    exec(source, vars(made))
    return made


@pytest.mark.parametrize(
    "source",
    [
        "n = 0\ndef f():\n    global n\n    n += 1\n    return n",
        "n = 0\ndef f():\n    globals()['n'] += 1\n    return n",
        "n = 0\ndef f():\n    exec('global n; n += 1')\n    return n",
        "n = 0\ndef g():\n    global n\n    n += 1\ndef f():\n    g()\n    return n",
        "n = 0\ndef f():\n    f.__globals__['n'] += 1\n    return n",
    ],
)
def test_globals_that_came_with_a_function_are_those_that_were_sent(
    site: Site, source: str
) -> None:
    f = module(source).f
    assert [site.call(f) for _ in range(3)] == [1, 1, 1]


PLAIN = {
    "a function": "def f(x): return x + 1",
    "a function and its helpers": "N = 3\ndef g(x): return x * N\ndef f(x): return g(x)",
    "a function that calls itself": "def f(x): return f(x - 1) if x else 0",
    "modules": "import os, os.path, math\ndef f(x): return math.pi + os.path.getsize(x)",
    "names from modules": "from math import pi\nfrom json import dumps\ndef f(x): return dumps(pi)",
    "defaults": "def f(x, y=(1, 'a', None), *, z=2.0): return x",
    "annotations": """
        from typing import Any, Optional
        from collections.abc import Sequence
        def f(x: int, y: Optional[list[str]] = None, *z: int | None) -> Sequence[Any]: return x
    """,
    "a closure, a number": "def make(n):\n    def f(x): return x + n\n    return f\nf = make(3)",
    "a comprehension": "N = 2\ndef f(x): return [i * N for i in range(x)]",
    "a lambda": "f = lambda x: x",
    "a coroutine": "async def f(x): return x",
    "a function of a module": "import json\nf = json.dumps",
    "a builtin": "import math\nf = math.sqrt",
    "a type": "f = int",
}


@pytest.mark.parametrize("source", PLAIN.values(), ids=PLAIN)
def test_plain_functions_are_unpickled_once(site: Site, source: str) -> None:
    site.main.run(source)
    assert site.is_kept(site.main["f"])


def test_what_is_found_by_name_is_looked_up_for_each_task(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = types.ModuleType("a_library")
    monkeypatch.setitem(sys.modules, "a_library", library)
    code = "def answer(): return {}\nclass Kind:\n    def method(): return {}"

    def define(version: int) -> None:
        exec(code.format(version, version), vars(library))

    define(1)
    site.main.run("""
        import a_library
        from a_library import answer, Kind
        def f(): return a_library.answer(), answer(), Kind.method()
    """)
    sent = [
        site.pickler.pickle(f)
        for f in (site.main["f"], library.answer, library.Kind.method)  # type: ignore[attr-defined]
    ]
    assert [site.run(function) for function in sent] == [(1, 1, 1), 1, 1]
    define(2)
    assert [site.run(function) for function in sent] == [(2, 2, 2), 2, 2]


def test_a_module_that_was_imported_again_is_the_one_that_is_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(version: int) -> None:
        made = types.ModuleType("a_library")
        made.version = version  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "a_library", made)

    put(1)
    site.main.run("import a_library\ndef f(): return a_library.version")
    f = site.main["f"]
    assert site.call(f) == 1
    put(2)
    assert site.call(f) == 2


def test_names_of_the_namespace_are_shared_on_purpose(site: Site) -> None:
    site.main.run("""
        def count():
            global n
            n += 1
            return n
        n = 10
        def use(): return kept.append(1) or len(kept)
    """)
    assert [site.call(site.main["count"]) for _ in range(3)] == [11, 12, 13]
    site.call(namespace.push, {"kept": []})
    assert [site.call(site.main["use"]) for _ in range(3)] == [1, 2, 3]


def test_captures_are_not_variables(site: Site) -> None:
    site.main.run("""
        table = [1]
        def f(): return table
        def helper(n): return [table[0] for _ in range(n)] if n else helper(1)
        def use(h): return h(2)
    """)
    gc.disable()  # which frees what refers to itself, some time later
    try:
        no_capture_is_found(site)
    finally:
        gc.enable()


def no_capture_is_found(site: Site) -> None:
    assert site.call(site.main["f"]) == [1]
    with pytest.raises(AssertionError, match="NameError"):
        site.call(namespace.pull, "table")
    site.call(namespace.push, {"helper": site.main["helper"]})
    with pytest.raises(AssertionError, match="NameError"):
        site.call(namespace.pull, ["helper", "table"])
    assert site.call(namespace.pull, "helper(3)") == [1, 1, 1]
    site.call(namespace.clear)
    with pytest.raises(AssertionError, match="NameError"):
        site.call(namespace.execute, "table")


def test_functions_that_were_pushed_see_what_they_captured_in_functions_that_they_make(
    site: Site,
) -> None:
    site.main.run("""
        SCALE = 3
        def scaled(n): return [(lambda: SCALE * i)() for i in range(n)]
        def use(n): return scaled(n)
        def other(n): return pushed(n)
    """)
    assert site.call(site.main["use"], 3) == [0, 3, 6]
    site.call(namespace.push, {"pushed": site.main["scaled"]})
    assert site.call(site.main["other"], 3) == [0, 3, 6]
    assert site.call(namespace.pull, "pushed(2)") == [0, 3]


@pytest.mark.parametrize("wrap", ["functools.partial(f)", "Holder(f).call", "functools.cache(f)"])
def test_wrapped_functions_see_what_they_captured_in_functions_that_they_make(
    site: Site, wrap: str
) -> None:
    site.main.run("""
        import functools
        SCALE = 3
        def f(): return [(lambda: SCALE * i)() for i in range(3)]
        class Holder:
            def __init__(self, f): self.f = f
            def call(self): return self.f()
    """)
    wrapped = eval(wrap, site.main.names)
    assert site.call(wrapped) == [0, 3, 6]


def test_nothing_is_kept_of_what_a_task_brought_along(site: Site) -> None:
    site.main.run("""
        import weakref
        class Thing: pass
        thing = Thing()
        refs = []
        def f():
            kept.append(weakref.ref(thing))
        def g(h): h()
    """)
    site.call(namespace.push, {"kept": []})
    site.call(site.main["f"])
    site.call(site.main["g"], site.main["f"])
    gc.collect()
    refs: list[weakref.ref[Any]] = namespace.user_namespace()["kept"]
    assert [ref() for ref in refs] == [None, None]


def pickled(n: int, size: int = 0) -> tuple[Digest, bytes]:
    text = "x" * size
    f = eval(f"lambda: ({n}, {text!r})")
    function = FunctionPickler().pickle(f)
    return Digest(function.digest), function.data


def test_functions_are_kept_up_to_a_number_of_bytes() -> None:
    functions = LoadedFunctions({"__name__": "__main__"}, limit_bytes=10 * ENTRY_BYTES)
    first = functions.get(*pickled(0))
    for n in range(1, 8):
        functions.get(*pickled(n))
        assert functions.get(*pickled(0)) is first, "what is used stays"
    large = pickled(100, 20 * ENTRY_BYTES)
    assert functions.get(*large).function()[0] == 100
    assert functions.get(*large).function()[0] == 100, "and one that has no room works too"
    assert len(functions) == 0
    for n in range(50):
        assert functions.get(*pickled(n)).function() == (n, "")
    assert 5 <= len(functions) < 10


def test_functions_that_are_not_kept_are_remembered_as_such() -> None:
    functions = LoadedFunctions({"__name__": "__main__"}, limit_bytes=ENTRY_BYTES)
    function = FunctionPickler().pickle(functools.partial(list))
    digest = Digest(function.digest)
    first = functions.get(digest, function.data)
    assert functions.get(digest, function.data) is not first
    assert len(functions) == 1
