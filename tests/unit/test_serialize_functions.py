"""Functions to pickles: named by digest, kept while nothing inside has changed."""

from __future__ import annotations

import functools
import gc
import math
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from hippodrome import serialize
from hippodrome.errors import SerializationError
from hippodrome.serialize import Function, FunctionPickler, load_function
from support.serializing import Engine, Main


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


@pytest.fixture
def pickler() -> FunctionPickler:
    return FunctionPickler()


def test_a_function_is_pickled_once(pickler):
    f = lambda: 1 + 1  # noqa: E731
    function = pickler.pickle(f)
    assert pickler.pickle(f) is function
    assert len(function.digest) == 16
    assert "<lambda>" in function.name
    assert load_function(function.data, {})() == 2


def test_the_record_can_be_referred_to_weakly():
    function = Function(b"d", b"data", "name")
    assert weakref.ref(function)() is function


@pytest.mark.parametrize(
    "change",
    [
        "f.__code__ = f.__code__.replace(co_name='g')",
        "f.__defaults__ = (5,)",
        "f.__kwdefaults__ = {'k': 5}",
        "f.__kwdefaults__['k'] = 6",
        "f.note = 5",
        "N = 5",
        "del N",
        "N = None",
        "PAIR = (1, 3)",
        "def helper(): return 5",
        "helper = None",
        "helper.__defaults__ = (5,)",
        "M = 5",
        "cell.cell_contents = 5",
        "math = __import__('cmath')",
        "len = abs",
        "late = 5",
    ],
)
def test_a_change_of_what_a_function_uses_is_noticed(main, pickler, change):
    main.run("""
        import math
        N, M, PAIR = 1, 2, (1, 2)
        def helper(x=1): return M
        def make():
            inner = 3
            def f(x=1, *, k=2): return N, PAIR, helper(), inner, math, len, late
            return f
        f = make()
        cell = f.__closure__[0]
    """)
    before = pickler.pickle(main["f"])
    assert pickler.pickle(main["f"]) is before
    main.run(change)
    gc.collect()
    after = pickler.pickle(main["f"])
    assert after.digest != before.digest
    assert pickler.pickle(main["f"]) is after


def test_what_may_change_inside_is_pickled_at_each_call(main, pickler):
    main.run("table = [1]\ndef f(): return table")
    before = pickler.pickle(main["f"])
    assert pickler.pickle(main["f"]) is before, "the same bytes are the same function"
    main["table"].append(2)
    assert pickler.pickle(main["f"]).digest != before.digest


def test_the_same_source_with_other_constants_has_another_digest(main, pickler):
    digests = set()
    for n in range(3):
        main.run(f"def f(): return {n}")
        digests.add(pickler.pickle(main["f"]).digest)
    assert len(digests) == 3


def test_a_function_defined_again_from_the_same_source_has_the_same_digest(main, pickler):
    digests = set()
    for _ in range(3):
        main.run("N = 1000\ndef helper(): return 'a text', N\ndef f(x): return helper() + x.y")
        digests.add(pickler.pickle(main["f"]).digest)
    assert len(digests) == 1


def test_a_digest_does_not_depend_on_who_else_refers_to_the_parts(main):
    main.run("def f(x): return [x.y + (1, 2.5, 'text')[0] for x in (1, 'é', b'b')]")
    digests = {FunctionPickler().pickle(main["f"]).digest}
    code = main["f"].__code__
    kept = [code.co_consts, *code.co_consts, code.co_names, code.co_linetable, code.co_varnames]
    kept += [part for const in kept if isinstance(const, tuple) for part in const]
    digests.add(FunctionPickler().pickle(main["f"]).digest)
    assert len(digests) == 1


def test_a_capture_that_could_not_be_pickled_is_watched(main, pickler):
    main.run("import threading\nlock = threading.Lock()\ndef f(): return lock")
    before = pickler.pickle(main["f"])
    assert pickler.pickle(main["f"]) is before
    main.run("lock = None")
    gc.collect()
    assert pickler.pickle(main["f"]).digest != before.digest


def test_functions_that_are_gone_are_forgotten(main, pickler):
    main.run("def f(n): return n and f(n - 1)\ndef g(): return f(1)")
    for name in "fg":
        pickler.pickle(main[name])
    refs = [weakref.ref(main.names.pop(name)) for name in "fg"]
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
    assert pickler._entries == {}


@pytest.mark.parametrize("f", [abs, math.sqrt, int, str.upper, dict.fromkeys, threading.Thread])
def test_what_can_be_imported_goes_by_name(pickler, f):
    function = pickler.pickle(f)
    assert pickler.pickle(f).digest == function.digest
    assert len(function.data) < 100
    assert load_function(function.data, {}) == f


def test_partials_and_callable_objects_are_pickled_at_each_call(pickler):
    f = functools.partial(max, [3])
    assert load_function(pickler.pickle(f).data, {})([2]) == [3]
    f.args[0][0] = 1
    assert load_function(pickler.pickle(f).data, {})([2]) == [2]
    assert pickler.pickle(f).name == "max"


def test_what_cannot_be_called_is_refused(pickler):
    with pytest.raises(TypeError, match="3 is not callable"):
        pickler.pickle(3)


def test_an_error_names_the_part_of_the_function(main, pickler):
    main.run("""
        import threading
        def make(lock): return lambda: lock
        in_closure = make({'a': [threading.Lock()]})
        def in_default(x=threading.Lock()): return x
        def user(): return in_closure
    """)
    for name, part in {
        "in_closure": r"(its variable 'lock')['a'][0] of type lock",
        "in_default": r"(default 0) of type lock",
        "user": r"(global 'in_closure') (its variable 'lock')['a'][0] of type lock",
    }.items():
        with pytest.raises(SerializationError) as caught:
            pickler.pickle(main[name])
        assert part in str(caught.value)
        assert isinstance(caught.value.__cause__, TypeError)


def test_references_in_defaults_are_looked_up_on_the_engine(main):
    main.names["Reference"] = serialize.Reference
    main.run("def f(x=Reference('a + 1')): return x")
    engine = Engine()
    engine.namespace["a"] = 1
    assert engine.call(main["f"]) == 2


def test_functions_of_any_thread_are_pickled(pickler):
    f = lambda: 0  # noqa: E731
    found: list[Function] = []
    threads = [threading.Thread(target=lambda: found.append(pickler.pickle(f))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({function.digest for function in found}) == 1
    assert len(found) == 8


def test_pickles_are_kept_up_to_a_number_of_bytes_and_what_is_used_stays(main):
    pickler = FunctionPickler(limit_bytes=100_000)
    functions = [eval(f"lambda: {str(n) * 2000!r}") for n in range(10, 90)]
    first = pickler.pickle(functions[0])
    for f in functions:
        pickler.pickle(f)
        assert pickler.pickle(functions[0]) is first
        entries = pickler._entries.values()
        assert sum(len(entry.function.data) for entry in entries) <= 100_000
    assert len(pickler._entries) > 10
    assert all(pickler.pickle(f).data for f in functions), "what was forgotten is pickled again"
    large = eval(f"lambda: {'x' * 200_000!r}")
    assert load_function(pickler.pickle(large).data, {})() == "x" * 200_000
    assert id(large) not in pickler._entries


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "package_with_parts"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    for part in ("first", "second"):
        (tmp_path / name / f"{part}.py").write_text(f"value = {part!r}")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    forget(name)


def forget(package: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "source",
    [
        "def f(): return {p}.second.value",
        "def helper(): return {p}.second.value\ndef f(): return helper()",
        "def make(p): return lambda: p.second.value\nf = make({p})",
        "def f(): return (lambda: {p}.second.value)()",
    ],
    ids=["global", "of a helper", "in a cell", "nested"],
)
@pytest.mark.parametrize("first", [True, False], ids=["and another before", "alone"])
def test_a_submodule_that_is_imported_later_is_part_of_the_next_pickle(
    main, pickler, package, source, first
):
    main.run(f"import {package}{'.first' if first else ''}")
    main.run(source.format(p=package))
    before = pickler.pickle(main["f"])
    assert pickler.pickle(main["f"]) is before
    main.run(f"import {package}.second")
    after = pickler.pickle(main["f"])
    assert after.digest != before.digest
    forget(package)  # as on an engine, which has not imported any of it
    assert load_function(after.data, {"__name__": "__main__"})() == "second"
