"""A history behaves as the list of msg_ids that it stands for."""

from __future__ import annotations

import sys
import threading
from array import array
from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hippodrome.client.history import HasHistory, History
from hippodrome.protocol.messages import MsgId

PREFIX = "c0ffee_"
OWN = st.integers(0, 10**20).map(lambda n: f"{PREFIX}{n}")
ODD = st.sampled_from(["", "a_1", *(PREFIX + end for end in ("", "007", "-1", "1x", "٣"))])
IDS = st.lists(OWN | ODD | st.text(max_size=5))


def history(msg_ids: list[str]) -> History:
    made = History(PREFIX)
    made.extend(map(MsgId, msg_ids))
    return made


@given(IDS, st.integers(-5, 5), st.integers(-5, 5))
def test_what_went_in_comes_out(msg_ids: list[str], start: int, stop: int) -> None:
    made = history(msg_ids)
    assert list(made) == msg_ids
    assert made == msg_ids
    assert made[start:stop] == msg_ids[start:stop]
    assert len(made) == len(msg_ids)
    assert all(msg_id in made for msg_id in msg_ids)


@given(IDS, IDS, st.integers(-5, 5))
def test_it_changes_as_a_list_does(msg_ids: list[str], new: list[str], place: int) -> None:
    made, expected = history(msg_ids), list(msg_ids)
    assert all(msg_id in made for msg_id in msg_ids)  # what it knows now is not so for long
    for target in (made, expected):
        target[place:] = new  # type: ignore[call-overload]
        target.insert(place, MsgId("x"))
        target += new  # type: ignore[operator]
        del target[0]
        target.append(MsgId("y"))
        target.remove(MsgId("y"))
    assert made == expected
    probes = {*msg_ids, *new, "x", "y", f"{PREFIX}3"}
    assert {msg_id for msg_id in probes if msg_id in made} == probes & set(expected)
    made.clear()
    assert made == []
    assert not any(msg_id in made for msg_id in probes)


def test_own_ids_take_a_number_each() -> None:
    made = History(PREFIX)
    made._append_numbers(5, 3)
    assert made[-1] == "c0ffee_7"
    assert not made._foreign
    with pytest.raises(IndexError):
        made[3]


class Owner(HasHistory):
    def __init__(self) -> None:
        self._history = History(PREFIX)


def test_a_history_may_be_assigned_to() -> None:
    owner = Owner()
    kept = owner.history
    owner.history.append(MsgId("c0ffee_1"))
    owner.history += [MsgId("other_1")]
    assert owner.history == ["c0ffee_1", "other_1"]
    owner.history = [MsgId("c0ffee_2")]  # type: ignore[assignment]
    assert owner.history == ["c0ffee_2"]
    owner.history = []  # type: ignore[assignment]
    owner.history._append_numbers(3, 1)
    assert owner.history is kept
    assert kept == ["c0ffee_3"]


def test_histories_are_added_as_lists() -> None:
    made, other = history([f"{PREFIX}1"]), history([f"{PREFIX}2", "a_1"])
    x = ["x"]
    assert made + other == [f"{PREFIX}1", f"{PREFIX}2", "a_1"]
    assert made + x == [f"{PREFIX}1", "x"]
    assert x + made == ["x", f"{PREFIX}1"]
    assert type(made.copy()) is list


def test_who_is_in_a_history_is_known_in_a_time_that_does_not_grow_with_it() -> None:
    made = History(PREFIX)
    made._append_numbers(0, 100_000)
    made.append(MsgId("other_1"))
    assert f"{PREFIX}99999" in made  # now it has looked at all of them
    looked = made._numbers
    made._numbers = Unread(looked)  # type: ignore[assignment]
    made.append(MsgId(f"{PREFIX}200000"))
    assert f"{PREFIX}200000" in made
    assert "other_1" in made
    assert f"{PREFIX}100000" not in made
    assert f"{PREFIX}099" not in made
    assert 7 not in made


class Unread(array):  # type: ignore[type-arg]
    """An array of which only the last few may be looked at."""

    def __new__(cls, numbers: array[int]) -> Unread:
        return super().__new__(cls, "Q", numbers)

    def __iter__(self) -> Iterator[int]:
        raise AssertionError("all were looked at")

    def __getitem__(self, index: int | slice) -> int | array[int]:  # type: ignore[override]
        assert isinstance(index, slice)
        assert index.start > 100_000
        return super().__getitem__(index)


def test_threads_may_ask_while_others_append() -> None:
    made = History(PREFIX)
    asked: list[bool] = []

    def ask() -> None:
        for n in range(3000):
            asked.append(f"{PREFIX}{n}" in made)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for n in range(3000):
            made.append(MsgId(f"{PREFIX}{n}"))
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert len(asked) == 9000
    assert all(f"{PREFIX}{n}" in made for n in range(3000))
