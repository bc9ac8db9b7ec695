"""Functions and classes of ``__main__``: they belong to the namespace in which they arrive."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from hippodrome import serialize
from hippodrome.errors import SerializationError
from hippodrome.serialize import byvalue
from hippodrome.serialize.namespaces import ABSENT
from support.serializing import Engine, Main, unpack


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_a_function_sees_names_that_were_pushed(main, engine):
    main.run("def f(): return pushed")
    engine.namespace["pushed"] = 7
    assert engine.call(main["f"]) == 7


def test_a_function_writes_global_names_into_the_engines_namespace(main, engine):
    main.run("def f():\n    global x\n    x = 1")
    engine.call(main["f"])
    assert engine.namespace["x"] == 1


def test_a_name_that_nobody_defines_is_a_name_error(main, engine):
    main.run("def f(): return nowhere")
    with pytest.raises(NameError, match="nowhere"):
        engine.call(main["f"])


def test_a_function_brings_helpers_modules_and_constants_along(main, engine):
    main.run("""
        import math
        N = 3
        def helper(x): return math.floor(x) + N
        def f(x): return helper(x)
    """)
    assert engine.call(main["f"], 4.5) == 7


def test_captures_do_not_pollute_the_engines_namespace(main, engine):
    main.run("N = 3\ndef helper(): return N\ndef f(): return [helper() for _ in range(2)]")
    assert engine.call(main["f"]) == [3, 3]
    assert engine.visible == set()


def test_captures_do_not_go_stale(main, engine):
    main.run("N = 10\ndef f(): return N")
    assert engine.call(main["f"]) == 10
    main.run("N = 20")
    assert engine.call(main["f"]) == 20
    main.run("del N")
    with pytest.raises(NameError):
        engine.call(main["f"])


def test_captures_of_helpers_do_not_go_stale(main, engine):
    main.run("N = 10\ndef helper(): return N\ndef f(): return helper()")
    assert engine.call(main["f"]) == 10
    main.run("N = 20")
    assert engine.call(main["f"]) == 20
    main.run("def helper(): return -1")
    assert engine.call(main["f"]) == -1


def test_mutable_captures_do_not_go_stale(main, engine):
    main.run("table = {'a': [1]}\ndef f(): return table")
    assert engine.call(main["f"]) == {"a": [1]}
    main["table"]["a"].append(2)
    assert engine.call(main["f"]) == {"a": [1, 2]}


def test_pushed_names_win_over_captures(main, engine):
    main.run("N = 10\ndef f(): return N")
    engine.namespace["N"] = 1000
    assert engine.call(main["f"]) == 1000
    del engine.namespace["N"]
    assert engine.call(main["f"]) == 10


def test_a_name_pushed_after_the_first_call_wins_too(main, engine):
    main.run("N = 10\ndef f(): return N")
    assert engine.call(main["f"]) == 10
    engine.namespace["N"] = 1000
    assert engine.call(main["f"]) == 1000


def test_two_clients_do_not_see_each_others_captures(monkeypatch):
    one, other = Engine(), Engine()
    other.namespace = one.namespace
    first = Main(monkeypatch)
    first.run("N = 1\ndef f(): return [N for _ in range(1)]")
    assert one.call(first["f"]) == [1]
    second = Main(monkeypatch)
    second.run("N = 2\ndef f(): return [N for _ in range(1)]\ndef g(): return N")
    assert other.call(second["f"]) == [2]
    assert one.call(first["f"]) == [1]


def test_a_comprehension_in_a_helper_in_a_function_sees_its_helpers_constants(main, engine):
    main.run("""
        SCALE = 3
        def helper(n):
            return [(lambda: SCALE * i)() for i in range(n)]
        def f(n):
            def inner():
                return helper(n)
            return inner()
    """)
    assert engine.call(main["f"], 3) == [0, 3, 6]


def test_nested_functions_of_functions_in_arguments_see_their_captures(main, engine):
    main.run("""
        SCALE = 3
        def scaled(n): return [SCALE * i for i in range(n)]
        def apply(f, n): return f(n)
    """)
    assert engine.call(main["apply"], main["scaled"], 3) == [0, 3, 6]


def test_a_counter_captured_once_lives_in_the_namespace(main, engine):
    main.run("count = 5\ndef f():\n    global count\n    count += 1\n    return count")
    assert [engine.call(main["f"]) for _ in range(3)] == [6, 7, 8]
    assert main["count"] == 5


def test_a_class_body_in_a_function_sees_captures(main, engine):
    main.run("""
        LIMIT = 4
        def f():
            class Local:
                limit = LIMIT
                module = __name__
            return Local.limit, Local.module
    """)
    assert engine.call(main["f"]) == (4, "__main__")


def test_attribute_names_are_not_captured(main, engine):
    main.run("import threading\nvalue = threading.Lock()\ndef f(x): return x.value")
    function = engine.pickler.pickle(main["f"])
    assert b"lock" not in function.data


def test_recursion_and_mutual_recursion_work(main, engine):
    main.run("""
        def fact(n): return 1 if n < 2 else n * fact(n - 1)
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
    """)
    assert engine.call(main["fact"], 5) == 120
    assert engine.call(main["even"], 10) is True


def test_recursive_closures_work_and_share_their_cells(main, engine):
    main.run("""
        def make():
            total = 0
            def add(n):
                nonlocal total
                total += n
                return read() if n == 0 else add(n - 1)
            def read(): return total
            return add
        add = make()
    """)
    assert engine.call(main["add"], 3) == 6


def test_lambdas_defaults_and_attributes_travel(main, engine):
    main.run("""
        def f(x, y=[1], *, z={'a': 1}): "text"; return x, y, z
        f.note = "here"
        f.__name__ = "renamed"
    """)
    loaded = engine.load(main["f"])
    assert loaded(0) == (0, [1], {"a": 1})
    assert (loaded.note, loaded.__name__, loaded.__module__) == ("here", "renamed", "__main__")
    assert engine.call(eval("lambda: 1 + 1", main.names)) == 2


def test_annotations_travel(main, engine):
    main.run("class Thing: pass\ndef f(x: Thing) -> int: return 1")
    assert engine.load(main["f"]).__annotations__["return"] is int


def test_submodules_in_use_are_imported(main, engine):
    main.run("import xml.dom.minidom\ndef f(): return xml.dom.minidom.Document().nodeType")
    assert engine.call(main["f"]) == 9


def test_builtins_that_main_redefines_are_captures(main, engine):
    main.run("def len(x): return -1\ndef f(): return len('abc'), max(1, 2)")
    assert engine.call(main["f"]) == (-1, 2)
    assert engine.call(eval("lambda: abs(-1)", main.names)) == 1


def test_a_global_that_cannot_be_pickled_is_left_to_the_engine(main, engine):
    main.run("""
        import threading
        lock = threading.Lock()
        N = 2
        def helper(): return lock
        def f(): return helper(), N
    """)
    engine.namespace["lock"] = "the engine's"
    assert engine.call(main["f"]) == ("the engine's", 2)
    assert engine.pickler.pickle(main["f"]) is engine.pickler.pickle(main["f"])
    main.run("lock = 'the client\\'s'")
    del engine.namespace["lock"]
    assert engine.call(main["f"]) == ("the client's", 2)


def test_arrays_beside_a_function_that_leaves_a_global_out_arrive_as_they_are(main, engine):
    main.names["lock"] = threading.Lock()
    main.run("def f(): return lock")
    small, large = np.ones(10_000), np.zeros(20_000)
    sent = serialize.dumps_call((small, main["f"], large), {})
    (one, _, other), _ = unpack(sent)
    assert (one == small).all()
    assert (other == large).all()
    assert len(sent.buffers) == 2, "what an attempt in vain has collected is not sent"


def test_calls_after_executed_code_see_captures_too(main, engine):
    main.run("N = 1\ndef f(): return [N for _ in range(1)]")
    exec("def plain(): return [len('abc') for _ in range(1)]", engine.namespace)
    assert "__builtins__" in engine.namespace, "exec puts it there"
    assert engine.call(main["f"]) == [1]
    assert engine.namespace["plain"]() == [3]


def test_code_executed_by_a_function_sees_its_captures(main, engine):
    main.run("N = 1\ndef f():\n    exec('def g(): return N', globals())\n    return g(), N")
    assert engine.call(main["f"]) == (1, 1)
    main.run("def h(): return N")
    assert engine.call(main["h"]) == 1


def test_functions_that_were_pushed_keep_their_captures(main, engine):
    main.run("""
        N = 5
        def pushed(n): return [(lambda: i + N)() for i in range(n)]
        def push(f):
            global g
            g = f
        def f(): return g(2)
    """)
    engine.call(main["push"], main["pushed"])
    main.run("N = 6")
    assert engine.call(main["f"]) == [5, 6]
    assert engine.visible == {"g"}


def test_functions_given_as_arguments_keep_their_own_captures(monkeypatch, engine):
    first, second = Main(monkeypatch), Main(monkeypatch)
    first.run("N = 1\nM = 3\ndef f(): return N, [M for _ in range(1)]")
    second.run("N = 2\ndef g(f): return f(), N, [N for _ in range(1)]")
    assert engine.call(second["g"], first["f"]) == ((1, [3]), 2, [2])


def test_code_in_c_that_imports_something_finds_the_builtins(main, engine):
    main.run("""
        import time
        K = "%Y"
        def captures(): return time.strptime("2020", K).tm_year
        def captures_not(f): return f("2020", "%Y").tm_year
    """)
    assert engine.call(main["captures"]) == 2020
    assert engine.call(main["captures_not"], time.strptime) == 2020


def test_instances_of_main_classes_travel_with_their_methods(engine):
    pickles = run_script("""
        BASE = 100
        class Base:
            def value(self): return BASE
        class Point(Base):
            def __init__(self, x): self.x = x
            def value(self): return [super(Point, self).value() + self.x for _ in 'a'][0]
            def plain(self): return super().value()
            @property
            def pushed(self): return pushed_name
        def f(p): return p.value(), p.plain(), p.pushed
        args = (Point(3),)
    """)
    engine.namespace["pushed_name"] = "p"
    assert engine.run(*pickles) == (103, 100, "p")
    assert "Point" not in engine.visible


def test_an_instance_returned_is_an_instance_of_the_clients_own_class(main, engine):
    main.run("""
        class Point:
            def __init__(self, x): self.x = x
            def value(self): return self.x
        def f(p): return Point(p.x + 1)
    """)
    value = main["Point"].value
    result = engine.call(main["f"], main["Point"](1))
    assert type(result) is main["Point"]
    assert main["Point"].value is value, "results must not rewrite classes defined here"
    assert result.value() == 2


def test_a_function_returned_to_the_client_belongs_to_its_main(main, engine):
    main.run("K = 5\ndef f():\n    def inner(): return K, here\n    return inner")
    result = engine.call(main["f"])
    main.run("here = 'client'")
    assert result.__globals__ is main.names
    assert result() == (5, "client")
    main.run("K = 6")
    assert result() == (6, "client")


def test_a_function_sent_on_takes_its_captures_and_no_builtins(main, engine):
    main.run("K = 5\ndef f(x): return len(x) + K")
    loaded = engine.load(main["f"])
    with serialize.unpickling_in(engine.namespace):
        (sight,) = byvalue.dump(loaded).sights
    assert sight.values == {"K": 5, "len": ABSENT}
    assert Engine().call(loaded, "abc") == 8


def test_partials_methods_and_callable_instances_work(main, engine):
    main.run("""
        N = 2
        class Adder:
            def __init__(self, n): self.n = n
            def __call__(self, x): return [x + self.n + N for _ in 'a']
            def add(self, x): return [x + self.n * N for _ in 'a']
        def f(x, y): return [x + y + N for _ in 'a']
    """)
    adder = main["Adder"](10)
    assert engine.call(adder, 1) == [13]
    assert engine.call(adder.add, 1) == [21]
    assert engine.call(functools.partial(main["f"], 1), 2) == [5]
    assert engine.call(functools.partial(adder), 2) == [14]
    assert engine.call(main["Adder"], 4).n == 4


def test_functions_in_containers_work(main, engine):
    main.run("N = 1\ndef call(fs): return [f() for f in fs]")
    fs = [eval("lambda: N + 1", main.names)] * 70
    assert engine.call(main["call"], fs) == [2] * 70


def test_interactive_marks_the_function_but_not_its_wrappers(engine):
    @serialize.interactive
    def f():
        return pushed_for_test  # noqa: F821

    engine.namespace["pushed_for_test"] = 3
    assert engine.call(f) == 3
    assert engine.load(f).__globals__ is engine.namespace
    assert engine.load(functools.wraps(f)(lambda: 0)).__globals__ is not engine.namespace


def test_an_importable_function_marked_interactive_goes_by_value(engine):
    engine.namespace["pushed_for_test"] = 4
    marked = serialize.interactive(importable)
    assert engine.call(marked) == 4
    with serialize.unpickling_in(engine.namespace):
        sent = serialize.dumps_call((marked,), {})
        (f,), _ = serialize.loads(sent.payload, sent.buffers)
    assert f() == 4


def importable():
    return pushed_for_test  # noqa: F821


def test_a_lambda_of_another_module_has_its_modules_names_and_pushed_ones_last(engine):
    engine.namespace["pushed_for_test"] = 5
    engine.namespace["helper_of_this_module"] = None
    assert engine.call(lambda: (helper_of_this_module(), pushed_for_test)) == (1, 5)  # noqa: F821
    assert engine.call(lambda: [pushed_for_test for _ in range(1)]) == [5]  # noqa: F821


def helper_of_this_module():
    return 1


def test_threads_may_pickle_while_main_changes(main, engine):
    main.run("N = 0\ndef f(): return N")
    seen = []

    def pickle_often():
        seen.extend(engine.pickler.pickle(main["f"]).digest for _ in range(200))

    threads = [threading.Thread(target=pickle_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(200):
        main.names["N"] = i
    for thread in threads:
        thread.join()
    assert engine.call(main["f"]) == 199


def test_another_python_version_is_refused_in_a_sentence(main, engine, monkeypatch):
    from hippodrome.serialize import rebuild

    main.run("def f(): pass")
    monkeypatch.setattr(rebuild, "VERSION", (3, 1))
    data = serialize.FunctionPickler().pickle(main["f"]).data
    monkeypatch.undo()
    with pytest.raises(SerializationError, match=r"Python 3\.1 cannot run under"):
        serialize.load_function(data, engine.namespace)


def test_a_real_scripts_functions_run_in_another_process(engine):
    pickles = run_script("""
        N = 10
        class Point:
            def __init__(self, x): self.x = x
        def helper(x): return x + N
        def f(p): return Point([helper(p.x) for _ in 'a'][0])
        args = (Point(1),)
    """)
    assert engine.run(*pickles).x == 11
    assert engine.visible == set()


def run_script(source: str) -> tuple[bytes, bytes]:
    """Return the pickled ``f`` and ``args`` of a script that another process runs."""
    script = textwrap.dedent(source) + textwrap.dedent("""
        import sys
        from hippodrome import serialize
        function = serialize.FunctionPickler().pickle(f)
        sys.stdout.write(repr((function.data, serialize.dumps_call(args, {}).payload)))
    """)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    return eval(run.stdout)
