"""What came by value is found under its name, so that tasks may pickle it; and how that ends."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import types
import weakref
from typing import Any

import cloudpickle
import pytest

from hippodrome import serialize
from hippodrome.errors import UnmetDependency
from hippodrome.serialize import arrivals
from hippodrome.serialize.dependents import Requirement, Sealed
from hippodrome.serialize.namespaces import captures_of
from support.serializing import Apart, Main

CLASSES = """
    import enum, typing
    from collections import namedtuple
    from dataclasses import dataclass

    @dataclass
    class Row:
        x: int

    class Outer:
        class Inner:
            def __eq__(self, other): return type(self) is type(other)

    class Color(enum.Enum):
        red = 1

    @dataclass(frozen=True, slots=True)
    class Frozen:
        x: int

    class Shown:
        @property
        def x(self): return 1
        @classmethod
        def make(cls) -> "Shown": return cls()
        def __eq__(self, other): return type(self) is type(other)

    class Slim:
        __slots__ = ("x", "__y", "__weakref__")
        def __init__(self, x): self.x = self.__y = x
        def __eq__(self, other): return type(self) is type(other) and self.both() == other.both()
        def both(self): return self.x, self.__y

    class Slimmer(Slim):
        __slots__ = "z"

    Point = namedtuple("Point", "x y")
    T = typing.TypeVar("T")

    class Box(typing.Generic[T]):
        def __eq__(self, other): return type(self) is type(other)

    class Missing:
        def __reduce__(self): return "MISSING"

    MISSING = Missing()
    UserId = typing.NewType("UserId", int)
    P = typing.ParamSpec("P")
    Ts = typing.TypeVarTuple("Ts")

    def helper(x): return x + 1

    def again(x):
        import copy, io, pickle
        for write in (pickle.dumps, pickle._dumps):
            assert pickle.loads(write(x)) == x
        assert pickle._loads(pickle.dumps(x)) == x
        return copy.deepcopy(x) == x
"""
VALUES = {
    "class": "Row",
    "instance": "Row(3)",
    "nested class": "Outer.Inner",
    "instance of a nested class": "Outer.Inner()",
    "member of an enumeration": "Color.red",
    "instance of a frozen class with slots": "Frozen(3)",
    "instance of a class with properties": "Shown.make()",
    "instance of a class with slots": "Slim(3)",
    "instance of a class with more slots": "Slimmer(3)",
    "named tuple": "Point(1, 2)",
    "generic class": "Box[int]",
    "instance of a generic class": "Box()",
    "singleton": "MISSING",
    "new type": "UserId",
    "type variable": "T",
    "parameters": "P",
    "type variables": "Ts",
    "function": "helper",
}


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


@pytest.mark.parametrize("source", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("way", ["captured", "an argument"])
def test_a_task_pickles_what_came_of_main(main: Main, source: str, way: str) -> None:
    main.run(CLASSES)
    engine = Apart()
    if way == "captured":
        main.run(f"def task(): return again({source})")
        assert engine.call(main["task"])
    else:
        assert engine.call(main["again"], eval(source, main.names))
    assert not engine.visible


@pytest.mark.parametrize("source", VALUES.values(), ids=VALUES)
def test_what_a_task_pickled_is_of_the_clients_own_classes_there(main: Main, source: str) -> None:
    main.run(CLASSES)
    main.run(f"def task():\n    import pickle\n    return pickle.dumps({source}), {source}")
    pickled, itself = Apart().call(main["task"])
    value = eval(source, main.names)
    assert pickle.loads(pickled) == value
    if source != "helper":
        assert itself == value
    assert type(pickle.loads(pickled)) is type(itself) is type(value)


def test_each_of_two_clients_has_its_own_class_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
        class Row:
            who = {}
            def __init__(self): self.x = 1
        def captured():
            import pickle
            return pickle.loads(pickle.dumps(Row())).who
        def passed(row):
            import pickle
            return type(pickle.loads(pickle.dumps(row))).who
    """
    engine = Apart()
    clients = {}
    for who in (1, 2):
        clients[who] = Main(monkeypatch)
        clients[who].run(source.format(who))
    for who, client in [*clients.items(), *clients.items()]:
        monkeypatch.setitem(sys.modules, "__main__", client.module)
        assert engine.call(client["captured"]) == who
        assert engine.call(client["passed"], client["Row"]()) == who


def test_a_function_that_is_called_again_finds_its_own_client_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = Apart()
    loaded = {}
    for who in (1, 2):
        client = Main(monkeypatch)
        client.run(f"def helper(): return {who}")
        client.run("def f():\n    import pickle\n    return pickle.loads(pickle.dumps(helper))()")
        loaded[who] = engine.load(client["f"])
    monkeypatch.setitem(sys.modules, "__main__", engine.module)
    for who in (1, 2, 1):
        with serialize.calling(captures_of(loaded[who]), engine.namespace):
            assert loaded[who]() == who


def test_the_variable_of_the_engine_comes_first(main: Main) -> None:
    main.run("def helper(x): return x\ndef f():\n    import __main__\n    return __main__.helper")
    engine = Apart()
    engine.namespace["helper"] = 7
    assert engine.call(main["f"]) == 7


def test_names_that_did_not_come_are_errors_as_in_any_module(main: Main) -> None:
    main.run("""
        class Row: pass
        def f():
            import __main__
            class Row: pass  # this one is local
            return hasattr(__main__, "nowhere"), hasattr(__main__, "__path__")
    """)
    assert Apart().call(main["f"]) == (False, False)
    with pytest.raises(AttributeError, match=r"module '__main__' has no attribute 'nowhere'"):
        _ = arrivals.MainModule("__main__").nowhere


def test_nothing_is_kept_alive_for_its_name(main: Main) -> None:
    main.run("class Row: pass\ndef f(): return Row")
    theirs = Apart().call_there(main["f"])
    assert theirs is not main["Row"]
    gone = weakref.ref(theirs)
    del theirs
    gc.collect()
    assert gone() is None


def test_nested_classes_have_the_names_that_they_were_given(main: Main) -> None:
    main.run("""
        class A:
            class B: pass
        def f(): return A.B.__qualname__
    """)
    assert Apart().call(main["f"]) == "A.B"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_nested_class_alone_is_pickled_with_each_protocol(main: Main, protocol: int) -> None:
    main.run(CLASSES)
    main.run("def f(x, n):\n    import pickle\n    return pickle.dumps(x, n)")
    main.run("class Other:\n    class More:\n        class Deep: pass")
    for value in (main["Outer"].Inner(), main["Other"].More.Deep()):
        pickled = Apart().call(main["f"], value, protocol)
        assert type(pickle.loads(pickled)) is type(value)


def test_the_classes_in_annotations_that_are_text_come_along(main: Main) -> None:
    main.run("""
        class Other: pass
        def g(x: "list[Other]"): pass
        def f():
            import typing
            return typing.get_type_hints(g)["x"].__args__[0].__qualname__
    """)
    assert Apart().call(main["f"]) == "Other"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Any:
    module = types.ModuleType("fieldnotes")
    source = "class Row:\n    def __eq__(self, other): return True\ndef helper(x): return x + 1"
    exec(source, vars(module))
    monkeypatch.setitem(sys.modules, "fieldnotes", module)
    cloudpickle.register_pickle_by_value(module)
    yield module
    cloudpickle.unregister_pickle_by_value(module)
    arrivals.drop_stand_ins()


def test_arguments_of_modules_that_are_sent_by_value_are(registered: Any) -> None:
    pickled = serialize.dumps_call((registered.Row(),), {})
    assert b"new_class" in pickled.payload


def test_a_task_pickles_what_came_of_a_module_that_is_not_there(
    registered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def task(row: Any) -> Any:
        import pickle

        assert pickle.loads(pickle.dumps(registered.helper))(1) == 2
        return pickle.loads(pickle.dumps(row)) == row

    engine = Apart()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, arrivals.ArrivedFinder()])
    function = engine.pickler.pickle(task).data
    arguments = serialize.dumps_call((registered.Row(),), {}).payload
    monkeypatch.delitem(sys.modules, "fieldnotes")
    monkeypatch.setattr("cloudpickle.cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID", {})
    assert engine.run(function, arguments)
    assert type(sys.modules["fieldnotes"]) is arrivals.ArrivedModule
    with pytest.raises(AttributeError, match="was not sent, only parts"):
        _ = sys.modules["fieldnotes"].other
    with pytest.raises(UnmetDependency, match="fieldnotes"):
        Requirement(("fieldnotes",), Sealed({}))()
    arrivals.drop_stand_ins()
    assert "fieldnotes" not in sys.modules
    assert copy.copy(task) is task


def test_instances_of_classes_with_slots_have_room_for_nothing_else_there(main: Main) -> None:
    main.run(CLASSES)
    main.run("def f(): return [hasattr(x, '__dict__') for x in (Slim(1), Slimmer(1), Frozen(1))]")
    assert Apart().call(main["f"]) == [False] * 3


def test_members_of_enumerations_have_their_attributes_and_other_names(main: Main) -> None:
    main.run("""
        import enum
        class Planet(enum.Enum):
            mercury = (3, 2)
            earth = (5, 6)
            ours = earth
            def __init__(self, mass, radius):
                self.mass, self.radius = mass, radius
            @property
            def size(self): return self.mass * self.radius
        class Label(int, enum.Enum):
            def __new__(cls, value, text):
                made = int.__new__(cls, value)
                made._value_, made.text = value, text
                return made
            one = 1, "one"
        class Rights(enum.Flag):
            read = enum.auto()
            write = enum.auto()
            all = read | write
        def f():
            assert Planet.ours is Planet["ours"] is Planet.earth is Planet((5, 6))
            assert list(Planet.__members__) == ["mercury", "earth", "ours"] and len(Planet) == 2
            assert Rights.all is Rights["all"] is Rights.read | Rights.write
            assert not hasattr(Planet.earth, "seen") and not hasattr(Rights.read, "seen")
            Planet.earth.seen = Rights.read.seen = Planet.earth.mass = 5
            Planet.mercury.mass += 1  # which the next one does not see
            return [x.size for x in Planet], Label.one.text, Label.one + 1, Planet.ours, Rights.all
    """)
    rest = main["Planet"].earth, main["Rights"].all
    engine = Apart()
    for _ in range(2):
        assert engine.call(main["f"]) == ([8, 30], "one", 2, *rest)


REGISTRY = """
    class Plugin:
        known = {}
        def __init_subclass__(cls, *, name, **more):
            super().__init_subclass__(**more)
            if name in Plugin.known: raise ValueError(f"{name} twice")
            Plugin.known[name] = cls

    class Meta(type):
        made = []
        def __new__(meta, name, *args):
            Meta.made.append(name)
            return super().__new__(meta, name, *args)

    class Tagged:
        def __init_subclass__(cls, *, tag):
            if tag: cls.tag = [tag]

    class Counting(Tagged, tag="counting"):
        def __init_subclass__(cls):
            super().__init_subclass__(tag=None)
            cls.tag.append(cls.__name__)

    class Leaf(Counting): pass
    def tags(): return Leaf.tag, Counting.tag
    class First(Plugin, name="first"): pass
    class Listed(metaclass=Meta): pass
    def names(): return sorted(Plugin.known)
    def is_first(): return Plugin.known["first"] is First
    def one(): return First(), Listed()
    def more():
        class Second(Plugin, name="second"): pass
        return names()
"""


def test_classes_that_are_told_of_subclasses_do_not_hear_of_arrivals(main: Main) -> None:
    main.run(REGISTRY)
    engine = Apart()
    for _ in range(2):
        assert engine.call(main["names"]) == ["first"]
        assert engine.call(main["is_first"])
        assert engine.call(main["tags"]) == (["counting", "Leaf"],) * 2
        assert engine.call(main["more"]) == ["first", "second"]


def test_results_do_not_make_the_clients_own_classes_again(main: Main) -> None:
    main.run(REGISTRY)
    engine = Apart()
    for _ in range(2):
        assert [type(x) for x in engine.call(main["one"])] == [main["First"], main["Listed"]]
    assert main["Plugin"].known == {"first": main["First"]}
    assert main["Meta"].made == ["Listed"]
