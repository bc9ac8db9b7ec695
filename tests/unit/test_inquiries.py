"""Who is asked before the hub is, when a question names tasks that may still come."""

from __future__ import annotations

from collections.abc import Collection

from hippodrome.protocol.frames import encode
from hippodrome.protocol.messages import MsgId, PeerId, Query
from hippodrome.scheduler.held_queries import Inquiries


def test_tasks_are_looked_up_until_it_is_known_whom_to_ask_and_no_longer() -> None:
    looked_up: list[MsgId] = []

    def are_new(msg_ids: Collection[MsgId]) -> bool:
        looked_up.extend(msg_ids)
        return not any(msg_id.endswith("_0") for msg_id in msg_ids)

    inquiries = Inquiries(are_new, lambda uuid: uuid in {"here", "also"})
    names = [f"{who}_{i}" for who in ("gone", "here", "also") for i in range(1000)]
    query = Query(1, "result_status", encode({"msg_ids": [*names, "here_0", "none"]}))
    assert inquiries.hold(PeerId("asker"), query, 0.0) == (1, {"here", "also"})
    assert looked_up == ["here_0", "here_1", "also_0", "also_1"]
    seen = Query(2, "result_status", encode({"msg_ids": ["here_0", "gone_1", "also_0"]}))
    assert inquiries.hold(PeerId("asker"), seen, 0.0) == (0, ())
