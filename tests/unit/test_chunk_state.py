"""An element of a chunk starts from what was sent, as a task of its own does."""

from __future__ import annotations

import asyncio
import pickle
import threading
from typing import Any

import pytest

from hippodrome.client.chunk import Chunk, Raised
from hippodrome.client.elements import Elements, apart
from hippodrome.errors import SerializationError
from hippodrome.serialize import dumps_call
from support.serializing import Engine, Main
from unit.test_function_state import STATEFUL


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch) -> Main:
    return Main(monkeypatch)


@pytest.fixture
def engine() -> Engine:
    return Engine()


SHARED = {name: source for name, source in STATEFUL.items() if name != "an attribute of a class"}


@pytest.mark.filterwarnings("ignore::hippodrome.errors.RandomCaptureWarning")
@pytest.mark.parametrize("returns", [False, True])
@pytest.mark.parametrize("source", SHARED.values(), ids=SHARED)
def test_each_element_starts_from_the_function_that_was_sent(
    main: Main, engine: Engine, source: str, returns: bool
) -> None:
    main.run(source)
    main.run("def each(_):\n    return f()")
    chunk = Chunk(main["each"], returns)
    assert engine.call(chunk, [0, 1, 2]) == [1, 1, 1]
    assert engine.call(chunk, [0, 1, 2]) == [1, 1, 1]


def call(engine: Engine, chunk: Chunk, *sequences: Any) -> Any:
    return engine.call(chunk, *apart(sequences))


LIST: list[int] = []


@pytest.mark.parametrize(
    "sequence",
    [[LIST] * 3, [[LIST], [LIST], [LIST]], ((LIST,), (LIST,)), [(1, {"a": LIST})] * 2, [LIST]],
)
def test_each_element_starts_from_the_arguments_that_were_sent(
    main: Main, engine: Engine, sequence: Any
) -> None:
    main.run("""
        def f(x):
            while not (isinstance(x, list) and not x):
                x = x["a"] if isinstance(x, dict) else x[-1]
            x.append(1)
            return len(x)
    """)
    assert call(engine, Chunk(main["f"]), sequence) == [1] * len(sequence)


def test_arrays_that_elements_have_in_common_travel_once(main: Main, engine: Engine) -> None:
    np = pytest.importorskip("numpy")
    array = np.zeros(100_000)
    sent = dumps_call(apart(([array] * 5, [array[:50_000], array[50_000:], 1, 2, 3])), {})
    sizes = sorted(memoryview(buffer).nbytes for buffer in sent.buffers)
    assert sizes == [400_000, 400_000, 800_000]
    main.run("""
        def f(x, y):
            x += 1
            return float(x.sum()), getattr(y, "size", 0)
    """)
    results = call(engine, Chunk(main["f"]), [array] * 3, [array[:50_000], array[50_000:], 1])
    assert results == [(100_000.0, 50_000), (100_000.0, 50_000), (100_000.0, 0)]


def test_parts_of_one_buffer_are_not_taken_for_each_other(main: Main, engine: Engine) -> None:
    data = bytes([1]) * 5000 + bytes([2]) * 5000
    views = [memoryview(data)[:5000], memoryview(data)[5000:], memoryview(data)[:5000]]
    main.run("def f(x): return x[0]")
    assert call(engine, Chunk(main["f"]), [pickle.PickleBuffer(view) for view in views]) == [
        1,
        2,
        1,
    ]


def test_constants_and_arrays_travel_as_they_are() -> None:
    np = pytest.importorskip("numpy")
    for sequence in (
        range(5),
        [1, 2.0, None, "a", (b"x", (1,))],
        np.zeros((3, 3)),
        "text",
        [[1]],
    ):
        assert apart([sequence])[0] is sequence
    for sequence in ([[1], [2]], np.array([[1], {}], dtype=object), [{}, {}]):
        assert isinstance(apart([sequence])[0], Elements)


def test_an_element_that_cannot_be_pickled_is_named() -> None:
    with pytest.raises(SerializationError, match=r"argument 1\[2\].* of type lock"):
        apart([[1, 2, 3], [[1], [2], [threading.Lock()]]])


def test_required_objects_are_assigned_anew_for_each_element(main: Main, engine: Engine) -> None:
    main.run("""
        from hippodrome import depend, require
        def check(): return True
        @require("json", found=[])
        @depend(check)
        @require(other={})
        def f(x):
            found.append(x)
            other[x] = x
            own.append(x)
            return len(found), len(other), len(own)
        own = []
    """)
    assert engine.call(Chunk(main["f"]), [1, 2, 3]) == [(1, 1, 1)] * 3


def test_an_error_of_an_element_leaves_the_next_as_it_was(main: Main, engine: Engine) -> None:
    main.run("""
        found = []
        def f(x):
            found.append(x)
            if len(found) > 1 or x == 1:
                raise ValueError(x)
            return [x for _ in found]
    """)
    results = engine.call_there(Chunk(main["f"], return_exceptions=True), [0, 1, 2])
    assert [type(result) for result in results] == [list, Raised, list]


def test_calls_of_an_async_function_are_awaited(main: Main) -> None:
    main.run("""
        import asyncio
        def helper(x): return x
        async def f(x, seen=[]):
            seen.append(x)
            await asyncio.sleep(0)
            assert x < 5
            return [(lambda: helper(x))() for _ in seen]
    """)
    engine = Engine()

    def run(returns: bool, *elements: int) -> Any:
        return asyncio.run(engine.call_there(Chunk(main["f"], returns), elements))

    assert run(False, 1, 2, 3) == run(True, 1, 2, 3) == [[1], [2], [3]]
    with pytest.raises(AssertionError):
        run(False, 1, 7, 3)
    first, failed, last = run(True, 1, 7, 3)
    assert (first, type(failed), last) == ([1], Raised, [3])
