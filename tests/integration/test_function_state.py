"""Each task starts from what was sent, whichever way it goes; engines keep little of it."""

from __future__ import annotations

import functools
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from hippodrome import depend, require

MB = 125_000  # numbers of eight bytes


def defined(source: str) -> dict[str, Any]:
    """Return what *source* defines in a ``__main__``, which travels by value."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(textwrap.dedent(source), names)
    return names


MAIN = defined("""
    import functools

    class Sim:
        total = 0

        def __init__(self):
            self.n = 0

        def run(self, x):
            self.n += 1
            Sim.total += 1
            return max(self.n, Sim.total)

        __call__ = run

    def make():
        found = []

        def f(x):
            found.append(x)
            return len(found)

        return f

    def default(x, found=[]):
        found.append(x)
        return len(found)

    found = []

    def captures(x):
        found.append(x)
        return len(found)

    def helper(x):
        return captures(x)

    def counts(x):
        counts.n += 1
        return counts.n

    counts.n = 0

    @functools.cache
    def cached(x):
        return captures(x)

    def use(config, x):
        config["n"] = config.get("n", 0) + 1
        return config["n"]

    def of_each(xs):
        return [captures(x) for x in xs[:1]]
""")

FUNCTIONS: dict[str, Callable[[], Any]] = {
    "a bound method": lambda: MAIN["Sim"]().run,
    "an object that can be called": lambda: MAIN["Sim"](),
    "a closure": lambda: MAIN["make"](),
    "a default": lambda: MAIN["default"],
    "a captured list": lambda: MAIN["captures"],
    "what a helper captured": lambda: MAIN["helper"],
    "an attribute of a function": lambda: MAIN["counts"],
    "a cache": lambda: MAIN["cached"],
    "a partial": lambda: functools.partial(MAIN["use"], {}),
    "a function that requires": lambda: require(other=[])(MAIN["captures"]),
    "a function that depends": lambda: depend(bool, 1)(MAIN["default"]),
}


@pytest.mark.parametrize("make", FUNCTIONS.values(), ids=FUNCTIONS)
def test_no_task_sees_what_others_did(client: Any, make: Callable[[], Any]) -> None:
    f = make()
    lv, dv, one = client.load_balanced_view(), client[:], client[0]
    assert [lv.apply_sync(f, i) for i in range(4)] == [1] * 4
    assert [one.apply_sync(f, i) for i in range(3)] == [1] * 3
    assert [dv.apply_sync(f, i) for i in range(2)] == [[1, 1]] * 2
    assert [one.apply_sync(make(), i) for i in range(3)] == [1] * 3
    assert client.broadcast_view().apply_sync(f, 1) == [1, 1]
    assert lv.map_sync(f, range(30)) == [1] * 30
    assert lv.map_sync(f, range(30), chunksize=10) == [1] * 30
    assert lv.map_sync(f, range(30), chunksize=7, return_exceptions=True) == [1] * 30
    assert sorted(lv.map_async(f, range(30), ordered=False)) == [1] * 30
    assert list(lv.imap(f, range(6))) == [1] * 6
    assert dv.map_sync(f, list(range(10))) == [1] * 10
    assert list(lv.executor.map(f, range(6), chunksize=3)) == [1] * 6
    assert [lv.executor.submit(f, i).result(30) for i in range(3)] == [1] * 3
    assert lv.remote(block=True)(f)(1) == 1


def test_parts_of_parallel_functions_start_from_what_was_sent(client: Any) -> None:
    f = client.load_balanced_view().parallel(block=True)(MAIN["of_each"])
    assert f(list(range(6))) == [1] * 6


def test_elements_that_have_something_in_common_do_not_see_each_other(client: Any) -> None:
    config: dict[str, int] = {}
    lv = client.load_balanced_view()
    for options in ({}, {"chunksize": 5}):
        assert lv.map_sync(MAIN["use"], [config] * 10, range(10), **options) == [1] * 10
    assert client[:].map_sync(MAIN["use"], [config] * 10, list(range(10))) == [1] * 10


def test_another_client_does_not_see_it_either(client: Any, cluster: Any) -> None:
    import hippodrome as ipp

    f = MAIN["make"]()
    assert client[0].apply_sync(f, 1) == 1
    with ipp.Client(str(cluster.client_file)) as other:
        assert other[0].apply_sync(f, 1) == 1
    assert client[0].apply_sync(f, 1) == 1


def test_a_module_that_is_loaded_again_on_engines_is_used(client: Any, tmp_path: Path) -> None:
    path = tmp_path / "reloaded_there.py"
    path.write_text("def version(): return 1")
    view = client[0]

    def add_path(directory: str) -> None:
        import sys

        sys.path.insert(0, directory)

    view.apply_sync(add_path, str(tmp_path))
    names = defined("""
        def version():
            import reloaded_there
            return reloaded_there.version()
    """)
    call = view.apply_sync
    import sys

    sys.path.insert(0, str(tmp_path))
    try:
        import reloaded_there  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("reloaded_there", None)
    sys.modules["reloaded_there"] = reloaded_there
    try:
        by_name = defined("def f(): return version()") | {"version": reloaded_there.version}
        f = eval("lambda: version()", by_name)
        assert (call(reloaded_there.version), call(f), call(names["version"])) == (1, 1, 1)
        path.write_text("def version(): return 2000")
        view.execute(
            "import importlib, reloaded_there; importlib.reload(reloaded_there)", block=True
        )
        assert (call(reloaded_there.version), call(f), call(names["version"])) == (2000,) * 3
    finally:
        del sys.modules["reloaded_there"]


@pytest.mark.filterwarnings("ignore::hippodrome.errors.LargeCaptureWarning")
def test_engines_keep_nothing_of_captures_that_come_and_go(client: Any) -> None:
    view = client.load_balanced_view(targets=[0])
    names = defined("""
        def total():
            return float(data.sum())

        def again(n=1):
            return again(n - 1) if n else float(data.sum())

        def use(f):
            return f()
    """)
    engine = psutil.Process(view.apply_sync(os.getpid))

    def uss_mb() -> float:
        return float(engine.memory_full_info().uss) / 1e6

    names["data"] = np.full(10 * MB, 1.0)
    view.apply_sync(names["total"])
    before = uss_mb()
    for i in range(30):
        names["data"] = np.full(10 * MB, float(i))
        assert view.apply_sync(names["total"]) == 10 * MB * i
        assert view.apply_sync(names["again"]) == 10 * MB * i
        assert view.apply_sync(names["use"], names["total"]) == 10 * MB * i
    assert uss_mb() - before < 300, "30 arrays of 10 MB came three times"
    client[0].clear(block=True)
    with pytest.raises(Exception, match="NameError"):
        client[0].pull("data", block=True)


@pytest.mark.filterwarnings("ignore::hippodrome.CaptureWarning")  # they are that large on purpose
def test_functions_larger_than_all_budgets_run(client: Any) -> None:
    names = defined("def f(i): return float(data[i])\ndef g(i): return len(text) + i")
    names["data"], names["text"] = np.full(80 * MB, 1.0), "x" * (70 << 20)
    lv = client.load_balanced_view()
    for f, first in ((names["f"], 1.0), (names["g"], 70 << 20)):
        assert lv.apply_sync(f, 0) == first
        assert lv.apply_sync(f, 0) == first
        assert client[:].apply_sync(f, 0) == [first, first]
