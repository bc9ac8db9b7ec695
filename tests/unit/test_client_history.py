"""A history behaves as the list of msg_ids that it stands for."""

from __future__ import annotations

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
    for target in (made, expected):
        target[place:] = new  # type: ignore[call-overload]
        target.insert(place, MsgId("x"))
        target += new  # type: ignore[operator]
        del target[0]
        target.append(MsgId("y"))
        target.remove(MsgId("y"))
    assert made == expected
    made.clear()
    assert made == []


def test_own_ids_take_a_number_each() -> None:
    made = History(PREFIX)
    made.append_block([MsgId(f"{PREFIX}{n}") for n in range(5, 8)])
    made.append_block([])
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
    owner.history.append_block([MsgId("c0ffee_3")])
    assert owner.history is kept
    assert kept == ["c0ffee_3"]


def test_histories_are_added_as_lists() -> None:
    made, other = history([f"{PREFIX}1"]), history([f"{PREFIX}2", "a_1"])
    x = ["x"]
    assert made + other == [f"{PREFIX}1", f"{PREFIX}2", "a_1"]
    assert made + x == [f"{PREFIX}1", "x"]
    assert x + made == ["x", f"{PREFIX}1"]
    assert type(made.copy()) is list
