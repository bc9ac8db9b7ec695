"""The interface of a store of task records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from hippodrome.protocol.messages import MsgId
from hippodrome.store.record import TaskRecord


class Store(Protocol):
    """Keeps task records; may forget the oldest finished ones to stay within its bounds."""

    def put(self, record: TaskRecord) -> None:
        """Keep a record, in place of one with the same id."""

    def get(self, msg_id: MsgId) -> TaskRecord | None:
        """Return a record, or None if there is none (any more)."""

    def remove(self, msg_id: MsgId) -> None:
        """Forget a record; nothing happens if there is none."""

    def __iter__(self) -> Iterator[TaskRecord]:
        """Yield all records in the order in which they were submitted."""

    def __len__(self) -> int: ...

    @property
    def n_culled(self) -> int:
        """How many records were forgotten to stay within the bounds."""
