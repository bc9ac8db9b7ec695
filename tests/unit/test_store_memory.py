"""What the store in memory costs, and that it gives back what it does not keep."""

from __future__ import annotations

import gc
import tracemalloc

from hippodrome.protocol import messages as m
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.memory import MemoryStore
from hippodrome.store.msg_ids import MOST_RANGES, Ranges

ME = m.PeerId("c" * 32)
F = m.Digest(b"f" * 16)
LIMIT = 2000
VALUE = 20  # bytes that a task brings, and as many that it returns
MOST_BYTES = 2 * VALUE + 150  # what a record may take


def run(store: MemoryStore, first: int, n: int, *, bundled: bool) -> None:
    for start in range(first, first + n, 100):
        names = [m.MsgId(f"{ME}_{number}") for number in range(start, start + 100)]
        payloads = [bytes([start % 251, *range(VALUE - 1)]) for _ in names]
        times = [float(i) for i in range(100)]
        task: list[m.Task | m.TaskBundle] = [m.TaskBundle(names, F, payloads)]
        result: list[m.Result | m.ResultBundle] = [
            m.ResultBundle(names, m.EngineId(0), 1, times, times, [bytes(p) for p in payloads])
        ]
        if not bundled:
            task = [m.Task(name, F, payloads[0]) for name in names]
            result = [m.Result(name, "ok", m.EngineId(0), 1, 1.0, 2.0) for name in names]
        store.put_submitted(Submission(ME, 1.0, m.Submit(task)))
        store.put_ended(Ending(ME, 2.0, result))


def bytes_after(store: MemoryStore, first: int, n: int, *, bundled: bool) -> int:
    run(store, first, n, bundled=bundled)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def test_a_record_is_small_and_is_given_back() -> None:
    for bundled in (True, False):
        tracemalloc.start()
        try:
            store = MemoryStore(LIMIT)
            empty = tracemalloc.get_traced_memory()[0]
            full = bytes_after(store, 0, LIMIT, bundled=bundled)
            later = bytes_after(store, LIMIT, 10 * LIMIT, bundled=bundled)
            assert full - empty < LIMIT * MOST_BYTES
            assert later - empty < 1.1 * (full - empty)
            store.remove_finished()
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] - empty < 0.1 * (full - empty)
        finally:
            tracemalloc.stop()


def test_what_was_removed_on_purpose_leaves_nothing_behind() -> None:
    tracemalloc.start()
    try:
        store = MemoryStore(LIMIT)
        empty = tracemalloc.get_traced_memory()[0]
        for first in range(0, 15 * LIMIT, 100):
            run(store, first, 100, bundled=True)
            store.remove([m.MsgId(f"{ME}_{number}") for number in range(first, first + 100)])
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - empty < LIMIT * MOST_BYTES
    finally:
        tracemalloc.stop()


def test_what_was_forgotten_with_gaps_is_remembered_in_few_ranges() -> None:
    forgotten = Ranges()
    for number in range(0, 20 * MOST_RANGES, 2):
        forgotten.add("me", number, number + 1)
    latest = 20 * MOST_RANGES - 2
    assert all(m.MsgId(f"me_{number}") in forgotten for number in (0, 2, latest))
    assert not any(m.MsgId(f"me_{number}") in forgotten for number in (latest - 1, latest + 1))
    assert len(forgotten._by_prefix["me"]) <= MOST_RANGES
