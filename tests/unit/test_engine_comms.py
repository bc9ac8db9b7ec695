"""What widgets say is kept once for each part of a state, and nothing of it is lost on the way."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hippodrome.engine.captured import Captured
from hippodrome.engine.comms import COMM_BYTES, LIVE_COMM_BYTES, Comms, state_key
from hippodrome.protocol.messages import CommMessage


def update(comms: Comms, comm_id: str, **state: Any) -> bool:
    data = {"method": "update", "state": state}
    content = json.dumps({"comm_id": comm_id, "data": data}).encode()
    return comms.add("comm_msg", content, [], state_key(comm_id, data))


def played(messages: list[CommMessage]) -> dict[str, dict[str, Any]]:
    """Return the states that a frontend has, which sees these messages."""
    states: dict[str, dict[str, Any]] = {}
    for message in messages:
        content = json.loads(message.content)
        states.setdefault(content["comm_id"], {}).update(content["data"]["state"])
    return states


def test_a_thousand_updates_are_kept_as_one() -> None:
    comms = Comms()
    comms.add("comm_open", b'{"comm_id": "bar"}', [])
    for value in range(1000):
        assert update(comms, "bar", value=value)
    opened, last = comms.collect()
    assert opened.kind == "comm_open"
    assert played([last]) == {"bar": {"value": 999}}
    assert last.at == 1000


@given(
    st.lists(
        st.tuples(
            st.sampled_from("ab"),
            st.dictionaries(st.sampled_from("xyz"), st.integers(), min_size=1),
            st.booleans(),
        )
    )
)
def test_whoever_sees_what_is_left_sees_the_same_state(
    updates: list[tuple[str, dict[str, int], bool]],
) -> None:
    comms, expected, live = Comms(), dict[str, dict[str, int]](), list[CommMessage]()
    for comm_id, state, is_looked_at in updates:
        assert update(comms, comm_id, **state)
        expected.setdefault(comm_id, {}).update(state)
        if is_looked_at:
            live += comms.take_fresh()
            assert played(live) == expected
    kept = comms.collect()
    assert played(kept) == expected
    assert [one.at for one in kept] == sorted({one.at for one in kept})
    assert len(kept) <= 2 * 7, "two comms, each with as many sets of names as there are"


def test_only_updates_of_the_same_parts_replace_each_other() -> None:
    one = state_key("a", {"method": "update", "state": {"x": 1}})
    assert one == state_key("a", {"method": "update", "state": {"x": 2}})
    assert one == state_key("a", {"method": "update", "state": {}, "buffer_paths": [["x"]]}), (
        "a part may be binary one time, and not the next"
    )
    assert one != state_key("b", {"method": "update", "state": {"x": 1}})
    assert one != state_key("a", {"method": "update", "state": {"x": 1, "y": 1}})
    assert one != state_key("a", {"method": "echo_update", "state": {"x": 1}})
    assert state_key("a", {"method": "custom", "content": {}}) is None
    assert state_key("a", {}) is None


def test_what_is_too_much_at_once_comes_with_the_next_look() -> None:
    comms = Comms()
    for n in range(4):
        comms.add("comm_open", b"x" * (LIVE_COMM_BYTES // 2), [b"y"], None)
        assert update(comms, "bar", value=n)
    looks: list[int] = []
    n_looks = 0
    while fresh := comms.take_fresh():
        looks += [one.at for one in fresh]
        n_looks += 1
    assert n_looks > 1
    assert looks == [0, 2, 4, 6, 7]


def test_what_is_too_much_for_a_task_is_dropped_with_a_note() -> None:
    captured = Captured()
    for _ in range(3):
        captured.tell("comm_open", b"x", [b"y" * (COMM_BYTES // 2 - 1000)], None)
    _, stderr, shown, _ = captured.collect()
    assert shown is not None
    assert len(shown.comms) == 2
    assert shown.displays == []
    assert stderr.count("a widget's message of 1 bytes was dropped") == 1
