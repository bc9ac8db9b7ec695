"""Classes that both sides have defined: a receiver takes its own if the definitions are equal."""

from __future__ import annotations

import copy
import gc
import os
import subprocess
import sys
import weakref
from typing import Any

import pytest

from hippodrome import serialize
from hippodrome.serialize import definitions, failures
from support.serializing import Apart, Main, unpack

# Each defines `Kind`; what differs between the two, where it may, is what `CHANGES` say.
DEFINITIONS = {
    "methods": """
        class Kind:
            '''A kind.'''
            size = 1.0
            names = ("a", "b", frozenset({"x", "y", "z"}))
            def __init__(self, x=3, *, y=4): self.x, self.y = x, y
            def far(self): return self.x in {"left", "right", "up", "down"} or 7
            @property
            def near(self): return lambda: [n + 1 for n in range(self.x)]
            @classmethod
            def make(cls, x: int) -> "Kind": return cls(x)
            @staticmethod
            def twice(x): return x * 2
    """,
    "inheritance": """
        import abc
        class Base(abc.ABC):
            limit = 5
            @abc.abstractmethod
            def area(self): ...
        class Middle(Base):
            def area(self): return super().area()
        class Kind(Middle):
            def __init__(self): super().__init__()
            def again(self): return Kind()
    """,
    "dataclass": """
        import dataclasses
        from typing import Any, Optional
        @dataclasses.dataclass(order=True)
        class Kind:
            x: int
            y: float | None = 2.5
            items: list[int] = dataclasses.field(default_factory=list, repr=False)
            more: Optional["Kind"] = None
            def far(self): return self.x + 7
    """,
    "frozen dataclass with slots": """
        import dataclasses
        @dataclasses.dataclass(frozen=True, slots=True)
        class Kind:
            x: int = 7
    """,
    "enumeration": """
        import enum
        class Kind(enum.Enum):
            red = 7
            blue = "b"
            @property
            def shown(self): return self.name.upper()
    """,
    "flags": """
        import enum
        class Kind(enum.IntFlag):
            a = 1
            b = enum.auto()
            c = 8
    """,
    "named tuple": """
        from typing import NamedTuple
        class Kind(NamedTuple):
            x: int
            y: str = "seven"
            def far(self): return self.x
    """,
    "collections' named tuple": """
        from collections import namedtuple
        Kind = namedtuple("Kind", "x y", defaults=[7])
    """,
    "nested": """
        class Kind:
            class Inner:
                depth = 7
            def make(self): return self.Inner()
    """,
    "closure": """
        def decorated(limit):
            def decorate(cls):
                cls.limited = lambda self: limit
                return cls
            return decorate
        @decorated(7)
        class Kind:
            pass
    """,
    "generic": """
        import typing
        T = typing.TypeVar("T")
        class Kind(typing.Generic[T]):
            limit: typing.ClassVar[int] = 7
            def get(self, x: T | None) -> list[T]: return []
    """,
    "values of the library": """
        import collections, datetime, decimal, functools, pathlib, re
        class Kind:
            began = datetime.date(2026, 11, 7)
            price = decimal.Decimal("7")
            where = pathlib.PurePath("/7")
            word = re.compile("7")
            counts = collections.Counter("abc")
            @functools.lru_cache(maxsize=7)
            def cached(self): return 7
            @functools.cached_property
            def once(self): return 7
    """,
    "instance of its own": """
        class Kind:
            def __init__(self, x): self.x = x
        Kind.zero = Kind(7)
    """,
    "metaclass": """
        class Meta(type):
            def __call__(cls, *args): return super().__call__()
            def __len__(cls): return 7
        class Kind(metaclass=Meta):
            limit = 7
    """,
    "error": """
        class Kind(ValueError):
            def __init__(self, code, text="7"):
                super().__init__(code, text)
                self.code = code
    """,
}
CHANGES = [
    ("methods", "1.0", "1"),
    ("methods", "1.0", "-1.0"),
    ("methods", "A kind", "A sort"),
    ("methods", "'''A kind.'''", "pass"),
    ("methods", '"a", "b"', '"a", "c"'),
    ("methods", '"x", "y", "z"', '"x", "y"'),
    ("methods", "x=3", "x=2"),
    ("methods", "x=3", "x=True"),
    ("methods", "y=4", "y=5"),
    ("methods", "or 7", "or 8"),
    ("methods", "or 7", "and 7"),
    ("methods", '"up"', '"to"'),
    ("methods", "n + 1", "n + 2"),
    ("methods", "x: int", "x: float"),
    ("methods", "@staticmethod", "@classmethod"),
    ("methods", "@property", "@staticmethod"),
    ("methods", "def twice", "def thrice"),
    ("methods", "class Kind:", "class Kind(dict):"),
    ("inheritance", "limit = 5", "limit = 6"),
    ("inheritance", "super().area()", "super().area"),
    ("inheritance", "class Kind(Middle)", "class Kind(Base)"),
    ("inheritance", "class Kind(Middle)", "class Kind(Middle, dict)"),
    ("inheritance", "            @abc.abstractmethod\n", ""),
    ("dataclass", "order=True", "order=False"),
    ("dataclass", "2.5", "2.6"),
    ("dataclass", "repr=False", "repr=True"),
    ("dataclass", "x: int", "x: str"),
    ("dataclass", "list[int]", "list[str]"),
    ("dataclass", "default_factory=list", "default_factory=dict"),
    ("dataclass", "float | None", "float"),
    ("frozen dataclass with slots", "frozen=True, ", ""),
    ("frozen dataclass with slots", ", slots=True", ""),
    ("frozen dataclass with slots", "7", "8"),
    ("enumeration", "7", "8"),
    ("enumeration", "blue", "green"),
    ("enumeration", "upper", "lower"),
    ("flags", "8", "16"),
    ("flags", "IntFlag", "Flag"),
    ("named tuple", "seven", "eight"),
    ("named tuple", "x: int", "z: int"),
    ("named tuple", "return self.x", "return self.y"),
    ("collections' named tuple", "x y", "x z"),
    ("collections' named tuple", "[7]", "[8]"),
    ("nested", "7", "8"),
    ("nested", "Inner", "Outer"),
    ("closure", "7", "8"),
    ("generic", "7", "8"),
    ("generic", "T | None", "T"),
    ("values of the library", "11, 7", "11, 8"),
    ("values of the library", '"7"', '"8"'),
    ("values of the library", "/7", "/8"),
    ("values of the library", "abc", "abd"),
    ("values of the library", "maxsize=7", "maxsize=8"),
    ("values of the library", "once(self): return 7", "once(self): return 8"),
    ("values of the library", "cached(self): return 7", "cached(self): return 8"),
    ("instance of its own", "7", "8"),
    ("metaclass", "limit = 7", "limit = 8"),
    ("metaclass", "return 7", "return 8"),
    ("error", "ValueError", "KeyError"),
    ("error", "7", "8"),
]
VALUES = {
    "methods": "Kind()",
    "inheritance": "Kind()",
    "dataclass": "Kind(1)",
    "frozen dataclass with slots": "Kind(1)",
    "enumeration": "Kind.red",
    "flags": "Kind.a | Kind.c",
    "named tuple": "Kind(1)",
    "collections' named tuple": "Kind(1)",
    "nested": "Kind()",
    "closure": "Kind()",
    "generic": "Kind()",
    "values of the library": "Kind()",
    "instance of its own": "Kind(7)",
    "metaclass": "Kind()",
    "error": "Kind(7)",
}


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


@pytest.fixture
def engine() -> Apart:
    return Apart()


ASK = """
def is_kind(x): return isinstance(x, Kind), type(x) is Kind
def make(): return VALUE
def same(x): return x
"""


def both_define(main: Main, engine: Apart, name: str, there: str) -> Any:
    """Define a class on both sides and the functions of `ASK` on this; return an instance."""
    main.run(DEFINITIONS[name])
    main.run(ASK.replace("VALUE", VALUES[name]))
    engine.define(there)
    return eval(VALUES[name], main.names)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_class_that_both_have_defined_is_one(main, engine, name):
    value = both_define(main, engine, name, DEFINITIONS[name])
    own = main["Kind"]
    assert engine.call(main["is_kind"], value) == (True, type(value) is own)
    assert engine.call(main["is_kind"], [value][0]) == (True, type(value) is own)
    back = engine.call(main["make"])
    assert isinstance(back, own)
    assert type(back) is type(value)
    assert isinstance(engine.call(main["same"], value), own)
    assert engine.call_there(main["same"], own) is engine.namespace["Kind"]
    assert engine.call(main["same"], own) is own


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_class_that_only_one_side_has_defined_goes_along(main, engine, name):
    value = both_define(main, engine, name, "")
    assert engine.call(main["is_kind"], value) == (True, type(value) is main["Kind"])
    assert isinstance(engine.call(main["same"], value), main["Kind"])


@pytest.mark.parametrize(("name", "old", "new"), CHANGES)
def test_a_class_that_is_another_one_there_stays_what_it_was(main, engine, name, old, new):
    assert old in DEFINITIONS[name]
    value = both_define(main, engine, name, DEFINITIONS[name].replace(old, new))
    there = engine.call_there(main["same"], type(value))
    assert there.__name__ == type(value).__name__
    assert there is not engine.namespace[there.__name__]
    assert engine.call(main["same"], type(value)) is type(value)


def test_members_of_an_enumeration_are_identical(main, engine):
    both_define(main, engine, "enumeration", DEFINITIONS["enumeration"])
    main.run("def is_red(x): return x is Kind.red\ndef red(): return {Kind.red: [Kind.blue]}")
    assert engine.call(main["is_red"], main["Kind"].red)
    assert engine.call(main["red"]) == {main["Kind"].red: [main["Kind"].blue]}
    assert next(iter(engine.call(main["red"]))) is main["Kind"].red


def test_a_class_that_came_before_the_engine_had_its_own_gives_way(main, engine):
    value = both_define(main, engine, "methods", "")
    kept = engine.call_there(main["same"], value)
    engine.define(DEFINITIONS["methods"])
    assert engine.call(main["is_kind"], value) == (True, True)
    assert type(kept) is not engine.namespace["Kind"]


def test_a_class_that_has_changed_since_is_another_one(main, engine):
    value = both_define(main, engine, "methods", DEFINITIONS["methods"])
    assert engine.call(main["is_kind"], value) == (True, True)
    main["Kind"].size = 2
    assert engine.call(main["is_kind"], value) == (False, False)
    engine.namespace["Kind"].size = 2
    assert engine.call(main["is_kind"], value) == (True, True)


def test_instances_of_a_class_that_has_been_defined_anew_come_home(main, engine):
    value = both_define(main, engine, "methods", DEFINITIONS["methods"])
    old = main["Kind"]
    main.run(DEFINITIONS["methods"].replace("1.0", "2.0"))
    assert engine.call(main["is_kind"], value) == (False, False)
    assert type(engine.call(main["same"], value)) is old


def test_a_class_whose_methods_would_miss_names_there_brings_them_along(main, engine):
    source = "class Kind:\n    def far(self): return above + 1"
    main.run(f"above = 6\n{source}\ndef far(x): return x.far(), isinstance(x, Kind)")
    engine.define(source)
    assert engine.call(main["far"], main["Kind"]()) == (7, False)
    engine.namespace["above"] = 1
    assert engine.call(main["far"], main["Kind"]()) == (2, True)


def test_results_are_of_the_clients_class_whatever_its_methods_use_there(main, engine):
    source = "class Kind:\n    def far(self): return table + 1"
    main.run(f"{source}\ndef make(): return Kind()")
    engine.define(f"{source}\ntable = 6")
    with engine.being_there(), serialize.unpickling_in(engine.namespace):
        pickled = serialize.dumps(engine.namespace["Kind"]())
    assert type(unpack(pickled)) is main["Kind"]


def test_an_error_that_both_have_defined_is_caught(main, engine):
    source = """
        class MyError(ValueError):
            def __init__(self, code): super().__init__(f"code {code}")
        class Worse(MyError): pass
    """
    main.run(source)
    engine.define(source)
    with engine.being_there(), serialize.unpickling_in(engine.namespace):
        failure = failures.describe_exception(engine.namespace["Worse"](7))
    with pytest.raises(main["MyError"], match="code 7") as info:
        raise failures.restore_error(failure)
    assert isinstance(info.value, main["Worse"])
    assert type(info.value.__cause__) is main["Worse"]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *((name, "Kind.added = 1") for name in DEFINITIONS),
        *((name, "Kind.__doc__ = 'another'") for name in DEFINITIONS),
        ("methods", "Kind.far = lambda self: 8"),
        ("methods", "Kind.far.__defaults__ = (8,)"),
        ("methods", "Kind.far.__kwdefaults__ = {'y': True}"),
        ("methods", "Kind.far.__code__ = (lambda self: 8).__code__"),
        ("methods", "Kind.far.note = 8"),
        ("methods", "Kind.make.__func__.__defaults__ = (8,)"),
        ("methods", "Kind.near.fget.__defaults__ = (8,)"),
        ("methods", "del Kind.size"),
        ("methods", "Kind.size = 1"),
        ("dataclass", "Kind.far.__kwdefaults__ = {'y': True}"),
        ("dataclass", "Kind.__init__.__defaults__ = (8,)"),
        ("enumeration", "Kind.far = lambda self: 8"),
        ("enumeration", "Kind.shown.fget.__defaults__ = (8,)"),
        ("inheritance", "Kind.__bases__[0].area = lambda self: 8"),
        ("inheritance", "Base.limit = 8"),
        ("inheritance", "Kind.__bases__ = (Middle, Other)"),
        (
            "inheritance",
            "Kind.again = type(Kind.again)(Kind.again.__code__, globals(), None, None,"
            " Kind.again.__closure__); Kind.again.__annotations__ = {'self': int}",
        ),
        ("nested", "Kind.Inner.depth = 8"),
        ("generic", "Kind.limit = 8"),
        ("closure", "Kind.limited.__closure__[0].cell_contents = 8"),
        ("closure", "del Kind.limited.__closure__[0].cell_contents"),
        ("instance of its own", "Kind.zero.x = 8"),
        ("values of the library", "Kind.counts['a'] = 8"),
        ("named tuple", "Kind.far.__defaults__ = (8,)"),
        ("error", "Kind.__init__.__defaults__ = (8,)"),
    ],
)
def test_what_is_kept_of_a_definition_holds_as_long_as_that(main, engine, name, change):
    main.run("class Other: pass")
    main.run(DEFINITIONS[name].replace("def far(self)", "def far(self, *, y=1)"))
    before = [definitions.mark_of(main["Kind"]) for _ in range(3)]
    assert before[0] == before[1] == before[2]
    main.run(change)
    after = definitions.mark_of(main["Kind"])
    assert after != before[0]
    definitions._known.clear()
    assert definitions.mark_of(main["Kind"]) == after


def test_a_plain_definition_is_kept_and_keeps_nothing_alive(main, engine):
    for name in ("methods", "dataclass", "enumeration", "inheritance", "error", "named tuple"):
        both_define(main, engine, name, "")
        serialize.dumps([main["Kind"], main["make"], eval(VALUES[name], main.names)])
        digest = definitions.mark_of(main["Kind"])
        known = definitions._known[main["Kind"]]
        assert definitions.mark_of(main["Kind"]) == digest
        assert definitions._known[main["Kind"]] is known
        ref = weakref.ref(main.names.pop("Kind"))
        main.names.clear()
        main.names["__name__"] = "__main__"
        gc.collect()
        assert ref() is None, name


def test_what_came_by_value_may_be_pickled_by_name(main, engine):
    value = both_define(main, engine, "methods", DEFINITIONS["methods"])
    main.run("""
        def again(x):
            import copy, pickle
            return [type(y) is Kind for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x))]
    """)
    assert engine.call(main["again"], value) == [True, True]


@pytest.mark.parametrize(
    "attribute",
    [
        "[[]] * 30000",
        "deep()",
        "shared()",
        "Odd()",
        "[Odd()]",
        "iter(Odd, 7)",
        "__import__('threading').Lock()",
        "{deep, print}",
        "object.__getattribute__",
        "1 << 100000",
        "'\\ud800'",
        "__import__('random').Random()",
        "__import__('weakref').ref(Odd)",
    ],
)
def test_no_attribute_is_too_odd(main, engine, attribute):
    source = f"""
        class Odd:
            __hash__ = None
            def __eq__(self, other): raise SystemExit
            def __reduce__(self): return Odd, ()
            def __getattr__(self, name): raise SystemExit(name)
        def deep():
            made = []
            for _ in range(5000): made = [made]
            return made
        def shared():
            made = ()
            for _ in range(60): made = (made, made)
            return made
        class Kind:
            pass
        Kind.odd = {attribute}
    """
    main.run(source)
    assert definitions.mark_of(main["Kind"]) == definitions.mark_of(main["Kind"])


def test_what_is_asked_for_late_is_no_difference(main, engine):
    value = both_define(main, engine, "methods", DEFINITIONS["methods"])
    own = main["Kind"]
    assert own.__annotations__ == {}
    assert copy.copy(value).x == 3  # which notes the slots
    assert engine.call(main["is_kind"], value) == (True, True)


def test_a_class_under_another_name_is_not_taken_for_the_one_of_its_name(main, engine):
    value = both_define(main, engine, "methods", DEFINITIONS["methods"])
    main.names["Other"] = main.names.pop("Kind")
    assert engine.call(main["is_kind"], value) == (False, False)
    assert type(engine.call(main["same"], value)) is main["Other"]


def test_a_class_that_was_pushed_is_still_the_one_that_was_pushed(main, engine):
    value = both_define(main, engine, "methods", "")
    engine.namespace["Kind"] = engine.call_there(main["same"], main["Kind"])
    main["Kind"].size = 2
    assert engine.call(main["is_kind"], value) == (True, True)
    assert engine.namespace["Kind"].size == 2


def test_a_class_that_came_home_is_itself_although_it_was_defined_again(main, engine):
    both_define(main, engine, "methods", "")
    old = main["Kind"]
    engine.namespace["Kind"] = engine.call_there(main["same"], old)
    main.run(DEFINITIONS["methods"])
    main.run("def there(): return Kind")
    assert type(engine.call(main["make"])) is old


def test_what_one_client_has_pushed_is_not_taken_for_anothers(main, engine):
    value = both_define(main, engine, "methods", "")
    engine.namespace["Kind"] = pushed = engine.call_there(main["same"], main["Kind"])
    main.run(DEFINITIONS["methods"])
    assert engine.call_there(main["same"], main["Kind"]) is not pushed
    assert engine.call_there(main["same"], type(value)) is pushed


DIGEST = """
from hippodrome.serialize import definitions
class Kind:
    sides = {"left", "right", "up", "down", "before", "behind"}
    def far(self): return self in {"left", "right", "up", "down", "before", "behind"}
Kind.word = WORD
print(definitions.mark_of(Kind)[1].hex())
"""


def test_the_digest_is_the_same_in_every_process():
    words = ['"seven"', '"".join(["se", "ven"])', '"seven"', '"".join(["se", "ven"])']
    printed = set()
    for seed, word in enumerate(words):
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        command = [sys.executable, "-c", DIGEST.replace("WORD", word)]
        printed.add(subprocess.check_output(command, env=environment, timeout=60))
    assert len(printed) == 1
