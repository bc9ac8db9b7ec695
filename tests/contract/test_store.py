"""What every store of task records promises; each test runs against each of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hippodrome.protocol.messages import MsgId, PeerId
from hippodrome.store.base import Store
from hippodrome.store.memory import MemoryStore
from hippodrome.store.record import TaskRecord

MakeStore = Callable[..., Store]  # takes record_limit and size_limit, both optional


@pytest.fixture(params=[MemoryStore])
def make(request: pytest.FixtureRequest) -> MakeStore:
    """Make stores of one kind."""
    store: MakeStore = request.param
    return store


def record(name: str, payload: bytes = b"", *, finished: bool = True) -> TaskRecord:
    received = 2.0 if finished else None
    return TaskRecord(MsgId(name), PeerId("c"), "task", 1.0, payload=payload, received=received)


def names(store: Store) -> list[str]:
    assert len(store) == len(list(store))
    return [record.msg_id for record in store]


def test_a_new_store_is_empty(make: MakeStore) -> None:
    store = make()
    assert names(store) == []
    assert store.n_culled == 0
    assert store.get(MsgId("a")) is None


def test_what_was_put_can_be_got(make: MakeStore) -> None:
    store = make()
    kept = record("a", b"payload")
    store.put(kept)
    assert store.get(MsgId("a")) == kept


def test_records_come_in_the_order_of_their_submission(make: MakeStore) -> None:
    store = make()
    for name in "cab":
        store.put(record(name, finished=False))
    for name in "bca":
        store.put(record(name))
    assert names(store) == ["c", "a", "b"]


def test_a_record_takes_the_place_of_one_with_the_same_id(make: MakeStore) -> None:
    store = make()
    for name in "ab":
        store.put(record(name))
    store.put(record("a", b"new"))
    assert names(store) == ["a", "b"]
    assert store.get(MsgId("a")) == record("a", b"new")
    assert store.n_culled == 0


def test_a_removed_record_is_gone(make: MakeStore) -> None:
    store = make()
    for name in "abc":
        store.put(record(name, finished=name != "b"))
    for name in "ab":
        store.remove(MsgId(name))
    assert names(store) == ["c"]
    assert store.n_culled == 0


def test_removing_what_is_not_there_changes_nothing(make: MakeStore) -> None:
    store = make()
    store.put(record("a"))
    store.remove(MsgId("b"))
    store.remove(MsgId("b"))
    assert names(store) == ["a"]


def test_no_more_records_are_kept_than_the_limit_says(make: MakeStore) -> None:
    store = make(record_limit=2)
    for name in "abcd":
        store.put(record(name))
    assert names(store) == ["c", "d"]
    assert store.n_culled == 2
    assert store.get(MsgId("a")) is None


def test_no_more_bytes_are_kept_than_the_limit_says(make: MakeStore) -> None:
    store = make(size_limit=10)
    store.put(record("a", bytes(4)))
    store.put(record("b", bytes(4)))
    store.put(record("c", bytes(6)))
    assert names(store) == ["b", "c"]
    store.put(record("d", bytes(7)))
    assert names(store) == ["d"]
    assert store.n_culled == 3


def test_results_and_output_count_as_bytes(make: MakeStore) -> None:
    store = make(size_limit=10)
    store.put(record("a", bytes(2)))
    for field in ("result", "stdout", "stderr"):
        fat = record(field)
        setattr(fat, field, bytes(9) if field == "result" else "x" * 9)
        store.put(fat)
        assert names(store) == [field]


def test_a_record_larger_than_the_limit_is_not_kept(make: MakeStore) -> None:
    store = make(size_limit=10)
    store.put(record("a", bytes(11)))
    assert names(store) == []
    assert store.n_culled == 1


def test_unfinished_records_are_always_kept(make: MakeStore) -> None:
    store = make(record_limit=1, size_limit=10)
    for name in "abc":
        store.put(record(name, bytes(100), finished=False))
    for name in "de":
        store.put(record(name))
    assert names(store) == ["a", "b", "c", "e"]
    assert store.n_culled == 1


def test_an_unfinished_record_counts_once_it_has_ended(make: MakeStore) -> None:
    store = make(record_limit=1)
    store.put(record("a", finished=False))
    store.put(record("b"))
    store.put(record("a"))
    assert names(store) == ["a"]  # of two that are finished, "b" finished first


def test_a_record_that_is_replaced_or_removed_frees_its_bytes(make: MakeStore) -> None:
    store = make(size_limit=10)
    store.put(record("a", bytes(10)))
    store.put(record("a", bytes(2)))
    store.put(record("b", bytes(8)))
    store.remove(MsgId("b"))
    store.put(record("c", bytes(8)))
    store.put(record("a", bytes(9), finished=False))
    store.put(record("d", bytes(2)))
    assert names(store) == ["a", "c", "d"]


def test_the_store_may_change_while_somebody_walks_through_it(make: MakeStore) -> None:
    store = make(record_limit=2)
    for name in "ab":
        store.put(record(name))
    seen = []
    for kept in store:
        seen.append(kept.msg_id)
        store.put(record(f"{kept.msg_id} again"))
    assert seen == ["a", "b"]
