"""The store that keeps nothing: every question finds nothing, at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from hippodrome.protocol.messages import Digest, MsgId
from hippodrome.store.base import Absent, Found, StoreCondition, Then
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.filters import Filter
from hippodrome.store.record import TaskRecord


class NoStore:
    """No records."""

    wake_fd: int | None = None

    def put_submitted(self, batch: Submission) -> None:
        pass

    def put_ended(self, batch: Ending) -> None:
        pass

    def put_functions(self, functions: Mapping[Digest, bytes]) -> None:
        pass

    def resubmitted(self, renamed: Mapping[MsgId, MsgId]) -> None:
        pass

    def remove(self, msg_ids: Collection[MsgId]) -> None:
        pass

    def remove_finished(self) -> None:
        pass

    def find(self, msg_ids: Collection[MsgId], then: Then[Found]) -> None:
        then(dict.fromkeys(msg_ids, Absent.UNKNOWN))

    def find_functions(
        self, digests: Collection[Digest], then: Then[Mapping[Digest, bytes]]
    ) -> None:
        then({})

    def search(self, wanted: Filter, then: Then[list[TaskRecord]]) -> None:
        then([])

    def history(self, then: Then[list[MsgId]]) -> None:
        then([])

    def count(self, then: Then[int]) -> None:
        then(0)

    def collect(self) -> None:
        pass

    def condition(self) -> StoreCondition:
        return StoreCondition("none")

    def close(self) -> None:
        pass
