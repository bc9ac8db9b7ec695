"""What a function uses and that could not come along: the NameError on the engine says why."""

from __future__ import annotations

import re
import sqlite3
import threading
import time

import pytest

from hippodrome import serialize
from hippodrome.errors import SerializationError
from hippodrome.serialize.namespaces import calling, captures_of, collecting
from support.serializing import Engine, Main

BEHIND = "which was left behind"


@pytest.fixture
def main(monkeypatch):
    main = Main(monkeypatch)
    main.run("""
        import functools, sqlite3, threading
        lock = threading.Lock()
        class Store:
            def __init__(self): self.conn = sqlite3.connect(":memory:")
        config = {"n": 3, "db": Store()}
        class Job:
            shared = threading.Lock()
            def __init__(self): self.things = [1, {"x": 1}]
            def step(self): return config["n"]
        class Slots:
            __slots__ = ("a", "b")
            def __init__(self): self.a, self.b = 1, lock
        slots = Slots()
        half = functools.partial(print, lock)
        bound = Store().__init__
        def helper(): return lock
        def helper_of_helper(): return helper()
        cached = functools.lru_cache(lambda: lock)
    """)
    return main


@pytest.fixture
def engine():
    return Engine()


def text_of(engine, f):
    """Return what is told of the error that *f* raises."""
    try:
        engine.call_there(f)
    except Exception as error:
        return serialize.describe_exception(error)
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("body", "name", "why"),
    [
        ("lock", "lock", "cannot pickle '_thread.lock' object"),
        ("helper_of_helper()", "lock", "cannot pickle '_thread.lock' object"),
        ("cached()", "lock", "cannot pickle '_thread.lock' object"),
        ("[(lambda: lock)() for _ in 'a']", "lock", "cannot pickle '_thread.lock' object"),
        ("config", "config", r"config['db'].conn of type Connection: cannot pickle 'sqlite3.Conn"),
        ("Job()", "Job", "Job.shared of type lock: cannot pickle '_thread.lock' object"),
        ("slots.a", "slots", "slots.b of type lock: cannot pickle"),
        ("half", "half", "half.args[0] of type lock: cannot pickle"),
        ("bound", "bound", "bound.__self__.conn of type Connection: cannot pickle"),
    ],
)
def test_a_name_error_says_why_the_clients_global_is_not_there(main, engine, body, name, why):
    main.run(f"def f(): return {body}")
    failure = text_of(engine, main["f"])
    said = f"name {name!r} is not defined: your program has a `{name}`, {BEHIND}: {why}"
    assert failure.evalue.startswith(said)
    assert said in failure.traceback


def test_methods_of_objects_that_come_along_say_it_too(main, engine):
    main.run("del Job.shared\njob = Job()")
    assert "config['db'].conn" in text_of(engine, main["job"].step).evalue


def test_what_the_program_does_not_have_either_is_a_plain_name_error(main, engine):
    main.run("def f(): return [lock for _ in ()], nowhere")
    assert text_of(engine, main["f"]).evalue == "name 'nowhere' is not defined"


def test_an_error_of_the_users_own_that_follows_from_it_shows_it(main, engine):
    main.run("""
        def f():
            try:
                lock
            except NameError as error:
                raise ExceptionGroup("many", [ValueError("mine")]) from error
    """)
    assert BEHIND in text_of(engine, main["f"]).traceback
    main.run("""
        def g():
            try:
                lock
            except NameError as error:
                raise ExceptionGroup("many", [error]) from None
    """)
    assert text_of(engine, main["g"]).traceback.count(BEHIND) == 1


def test_names_left_behind_by_several_functions_are_all_known(monkeypatch, engine):
    first, second = Main(monkeypatch), Main(monkeypatch)
    first.run("import threading\na = threading.Lock()\ndef f(): return [a for _ in 'x']")
    second.run("import threading\nb = threading.Lock()\ndef g(f): return f(), (lambda: b)()")
    with serialize.unpickling_in(engine.namespace):
        pushed = serialize.load_function(engine.pickler.pickle(first["f"]).data, engine.namespace)
    with collecting():
        g = engine.load(second["g"])
    failures = []
    for call in (lambda: g(pushed), lambda: g(int)):
        with calling(captures_of(g), engine.namespace), pytest.raises(NameError) as caught:
            call()
        failures.append(serialize.describe_exception(caught.value).evalue)
    assert "`a`, which was left behind" in failures[0]
    assert "`b`, which was left behind" in failures[1]


def test_a_function_that_leaves_something_behind_keeps_its_digest(main, engine):
    main.run("def f(): return config")
    first = engine.pickler.pickle(main["f"])
    assert engine.pickler.pickle(main["f"]).digest == first.digest
    main["config"]["db"].conn = None
    assert engine.call(main["f"])["n"] == 3
    main["config"]["why"] = sqlite3.connect(":memory:")
    main["config"].pop("n")
    main.names["config"] = dict(main["config"])
    assert "config['why'] of type Connection" in text_of(engine, main["f"]).evalue


def test_the_one_part_of_many_is_found_without_trying_each():
    many = [*range(200_000), threading.Lock()]
    began = time.process_time()
    with pytest.raises(SerializationError, match=re.escape("argument 0[200000] of type lock")):
        serialize.dumps_call((many,), {})
    assert time.process_time() - began < 5, "to pickle each by itself takes more than a minute"


@pytest.mark.parametrize(
    ("make", "part"),
    [
        ("Job()", "argument 0 (its class).shared of type lock: TypeError"),
        ("ValueError(1, lock)", "argument 0.args[1]"),
        ("half", "argument 0.args[0] of type lock"),
        ("[bound]", "argument 0[0].__self__.conn of type Connection"),
        ("slots", "argument 0.b of type lock"),
    ],
)
def test_an_argument_that_cannot_be_pickled_is_named_with_the_way_to_it(main, make, part):
    with pytest.raises(SerializationError) as caught:
        serialize.dumps_call((eval(make, main.names),), {})
    assert str(caught.value).startswith(part)
