"""What the hub's records say of the work that a cluster did, for tests of programs that hide it."""

from __future__ import annotations

from typing import Any, Final

BATCH: Final = 500  # ids in one query


def n_done_by_engines(view: Any, msg_ids: list[str] | None = None) -> int:
    """Return how many tasks of *view*, or of all views of a client, an engine has completed.

    Args:
        view: a view, or a client.
        msg_ids: only of these tasks, of whichever client.
    """
    client = getattr(view, "client", view)
    msg_ids = list(view.history) if msg_ids is None else msg_ids
    n = 0
    for start in range(0, len(msg_ids), BATCH):
        query = {"msg_id": {"$in": msg_ids[start : start + BATCH]}}
        records = client.db_query(query, keys=["completed", "engine_uuid"])
        n += sum(bool(one["completed"] and one["engine_uuid"]) for one in records)
    return n
