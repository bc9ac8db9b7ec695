"""The store that keeps its records in memory, within two bounds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from hippodrome.protocol.messages import MsgId
from hippodrome.store.record import TaskRecord


class MemoryStore:
    """Records in a dict, oldest first.

    Unfinished records are always kept: they are as many as the scheduler holds tasks.

    Args:
        record_limit: how many finished records are kept.
        size_limit: how many bytes of payload finished records may hold together.
    """

    def __init__(self, record_limit: int = 20_000, size_limit: int = 1 << 30) -> None:
        self._record_limit = record_limit
        self._size_limit = size_limit
        self._records: dict[MsgId, TaskRecord] = {}
        self._finished: OrderedDict[MsgId, int] = OrderedDict()
        self._size_bytes = 0
        self._n_culled = 0

    @property
    def n_culled(self) -> int:
        return self._n_culled

    def put(self, record: TaskRecord) -> None:
        msg_id = record.msg_id
        self._records[msg_id] = record
        self._size_bytes -= self._finished.pop(msg_id, 0)
        if record.is_finished:
            size_bytes = record.size_bytes
            self._finished[msg_id] = size_bytes
            self._size_bytes += size_bytes
            self._cull()

    def _cull(self) -> None:
        while self._finished and (
            len(self._finished) > self._record_limit or self._size_bytes > self._size_limit
        ):
            msg_id, size_bytes = self._finished.popitem(last=False)
            self._size_bytes -= size_bytes
            del self._records[msg_id]
            self._n_culled += 1

    def get(self, msg_id: MsgId) -> TaskRecord | None:
        return self._records.get(msg_id)

    def remove(self, msg_id: MsgId) -> None:
        if self._records.pop(msg_id, None) is not None:
            self._size_bytes -= self._finished.pop(msg_id, 0)

    def __iter__(self) -> Iterator[TaskRecord]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)
