"""Objects of the standard library that hold weak tables, locks and caches, in ``__main__``."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from support.serializing import Apart, Main

# Source of a __main__, by what it shows; then what holds on an engine as it does here.
KINDS = {
    "a generic function": (
        """
        import collections.abc, functools
        @functools.singledispatch
        def kind(x): "What it is."; return "object"
        @kind.register
        def _(x: int): return kind("") + " int"
        @kind.register
        def _(x: collections.abc.Sized): return "sized"
        class Row: pass
        @kind.register(Row)
        def _(x): return "row"
        kind.note = 1
        kind(3), kind([]), kind(Row())
        """,
        "kind(3) == 'sized int' and kind([]) == 'sized' and kind(Row()) == 'row'",
        "kind(3.0) == 'object' and kind.__name__ == 'kind' and kind.__doc__ and kind.note == 1",
        "kind.__wrapped__(1) == 'object' and kind.registry[Row](1) == 'row'",
    ),
    "a wrapped generic function": (
        """
        import functools
        def deco(f):
            @functools.wraps(f)
            def wrapper(x): return f(x)
            return wrapper
        @deco
        @functools.singledispatch
        def kind(x): return "object"
        @kind.__wrapped__.register
        def _(x: int): return "int"
        kind(3)
        """,
        "kind(3) == 'int' and kind('') == 'object'",
    ),
    "a generic method": (
        """
        import functools
        class A:
            @functools.singledispatchmethod
            def kind(self, x): return self
            @kind.register
            def _(self, x: int): return "int"
            @functools.singledispatchmethod
            @classmethod
            def of(cls, x): return cls
            @of.register
            @classmethod
            def _(cls, x: int): return "int"
        a = A()
        a.kind(3), a.kind(""), A.of(3)
        """,
        "a.kind(3) == 'int' and a.kind('') is a and A.of(3) == 'int' and A.of('') is A",
    ),
    "cached functions, methods and properties": (
        """
        import functools
        @functools.cache
        def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
        class A:
            @functools.lru_cache(maxsize=7)
            def once(self): return object()
            @functools.cached_property
            def p(self):
                "Doc."
                return object()
        a = A()
        fib(9), a.once(), a.p
        """,
        "fib(30) == 832040 and a.once() is a.once() and A.once.cache_parameters()['maxsize'] == 7",
        "A().p is not A().p and a.p is a.p and A.p.__doc__ == 'Doc.'",
    ),
    "partial methods and total orders": (
        """
        import functools
        @functools.total_ordering
        class A:
            def __init__(self, x): self.x = x
            def __eq__(self, other): return self.x == other.x
            def __lt__(self, other): return self.x < other.x
            def add(self, n): return self.x + n
            add_two = functools.partialmethod(add, 2)
        """,
        "A(1).add_two() == 3 and A(1) >= A(1) and A(1) < A(2)",
    ),
    "abstract classes with classes registered": (
        """
        import abc
        class A(abc.ABC):
            @abc.abstractmethod
            def f(self): ...
        class B(A):
            def f(self): return 2
        class C: pass
        A.register(C)
        A.register(dict)
        issubclass(int, A)
        """,
        "B().f() == 2 and issubclass(C, A) and issubclass(dict, A) and not issubclass(int, A)",
    ),
    "weak collections of what else came": (
        """
        import weakref
        class A:
            everyone = weakref.WeakSet()
            by_name = weakref.WeakValueDictionary()
            notes = weakref.WeakKeyDictionary()
            def __init__(self):
                self.everyone.add(self)
                self.by_name["me"] = self
                self.notes[self] = 1
        a = A()
        """,
        "list(A.everyone) == [a] and A.by_name['me'] is a and A.notes[a] == 1",
    ),
    "what typing finds by its name": (
        """
        from typing import Callable, Generic, NewType, ParamSpec, TypeVar
        P, R = ParamSpec("P"), TypeVar("R", bound=int, covariant=True)
        S = TypeVar("S", int, str)
        UserId = NewType("UserId", int)
        def same(f: Callable[P, R], x: UserId) -> S: return f
        class Box(Generic[S]): pass
        """,
        "same(len, 3) is len and Box[int]() and UserId(3) == 3 and R.__bound__ is int",
        "R.__covariant__ and S.__constraints__ == (int, str) and S.__module__ == '__main__'",
        "same.__annotations__['x'] is UserId and Box.__parameters__ == (S,)",
    ),
}
SINCE_312 = {
    "type aliases and parameters": (
        """
        type Json = dict[str, Json] | int
        type Pairs[T] = list[tuple[T, T]]
        class Box[T]:
            def get(self, x: T, y: Json, z: Pairs[int]) -> T: return x
        def same[T: int](x: T) -> T: return x
        """,
        "Box[int]().get(3, 1, []) == 3 and same(1) == 1 and Json.__module__ == '__main__'",
        "Json.__value__.__args__[0].__args__[1] is Json and Pairs[int].__args__ == (int,)",
    ),
}
ALL = KINDS | (SINCE_312 if sys.version_info >= (3, 12) else {})


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


BACK = ALL.keys() - {"weak collections of what else came"}  # a copy is in none of them here


@pytest.mark.parametrize(
    ("kind", "way"),
    [(kind, way) for kind in ALL for way in ("captured", "passed")]
    + [(kind, "there and back") for kind in sorted(BACK)],
)
def test_it_is_on_an_engine_what_it_was_here(main: Main, kind: str, way: str) -> None:
    source, *checks = ALL[kind]
    main.run(source)
    main.run(f"def check(): return bool({' and '.join(checks)})")
    engine = Apart()
    if way == "captured":
        assert engine.call(main["check"])
        return
    sent = {name: value for name, value in main.names.items() if name[:2] != "__"}
    del sent["check"]
    if way == "there and back":
        main.run("def back(sent): return sent")
        sent = engine.call(main["back"], sent)
    put = Main.__new__(Main)
    put.module, put.names = main.module, {"__name__": "__main__"}
    put.run("def put(sent): globals().update(sent)")
    put.run(f"def check(): return bool({' and '.join(checks)})")
    engine.call(put["put"], sent)
    assert engine.call(put["check"])


def test_an_implementation_that_is_added_later_is_sent(main: Main) -> None:
    main.run("""
        import functools
        @functools.singledispatch
        def kind(x): return "object"
        def f(x): return kind(x)
    """)
    engine = Apart()
    assert [engine.call(main[f], 3) for f in ("kind", "f")] == ["object"] * 2
    main.run("@kind.register\ndef _(x: int): return 'int'")
    assert [engine.call(main[f], 3) for f in ("kind", "f")] == ["int"] * 2


def test_an_error_of_a_generic_function_calls_it_by_its_name(main: Main) -> None:
    main.run("import functools\n@functools.singledispatch\ndef kind(x): return 1")
    with pytest.raises(TypeError, match="kind requires at least"):
        Apart().call(main["kind"])


def test_a_sentinel_is_one_on_each_side(main: Main) -> None:
    main.run("""
        class Missing:
            def __init__(self, text): self.text = text
            def __reduce__(self): return "MISSING"
        MISSING = Missing("nothing")
        def default(x=MISSING): return x is MISSING, x.text
        def pair(x, y): return x is y, x
    """)
    engine = Apart()
    assert engine.call(main["default"]) == (True, "nothing")
    same, sentinel = engine.call(main["pair"], main["MISSING"], main["MISSING"])
    assert same
    assert sentinel is main["MISSING"]


def test_types_of_main_come_back_as_themselves(main: Main) -> None:
    main.run("""
        import typing
        T, P = typing.TypeVar("T"), typing.ParamSpec("P")
        Ts, UserId = typing.TypeVarTuple("Ts"), typing.NewType("UserId", int)
        def back(x): return x
    """)
    sent: list[Any] = [main[name] for name in ("T", "P", "Ts", "UserId")]
    for mine, theirs in zip(sent, Apart().call(main["back"], sent), strict=True):
        assert theirs is mine
