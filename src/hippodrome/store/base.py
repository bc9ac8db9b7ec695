"""The interface of a store of task records."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hippodrome.protocol.messages import Digest, MsgId
from hippodrome.store.batch import Ending, Submission
from hippodrome.store.filters import Filter
from hippodrome.store.record import TaskRecord


class Absent(enum.Enum):
    """Why there is no record."""

    UNKNOWN = "unknown"  # there never was one, or it was removed on purpose
    EXPIRED = "expired"  # it was forgotten to stay within the bounds


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The answer that a question gets if the records cannot be read.

    Attributes:
        why: in words for whoever asked.
    """

    why: str


Found = Mapping[MsgId, TaskRecord | Absent]
T = TypeVar("T")
Then = Callable[[T | Unreadable], None]


@dataclass(frozen=True, slots=True)
class StoreCondition:
    """How a store is.

    Attributes:
        kind: which store it is.
        trouble: what is wrong, in a few words; empty if nothing is.
        n_records: how many records it has at hand.
        n_finished: how many of these are of tasks that have ended.
        n_culled: how many were forgotten to stay within the bounds.
        n_lost: how many changes never reached the disk.
        note: what happened that people should know of; empty if nothing did.
    """

    kind: str
    trouble: str = ""
    n_records: int = 0
    n_finished: int = 0
    n_culled: int = 0
    n_lost: int = 0
    note: str = ""

    def __str__(self) -> str:
        return f"degraded ({self.trouble})" if self.trouble else "ok"


class Store(Protocol):
    """Keeps task records; may forget the oldest finished ones to stay within its bounds.

    Nothing here waits for a disk. What a question finds is handed to its *then*: at once, or
    from `collect`, which is to be called when `wake_fd` is readable. An answer takes into
    account all that was put before the question; it is `Unreadable` if it would be wrong, or half
    of what there is.
    """

    wake_fd: int | None

    def put_submitted(self, batch: Submission) -> None:
        """Begin records; an id that came before names the first task, for good."""

    def put_ended(self, batch: Ending) -> None:
        """Finish records; one that was never begun is begun too."""

    def put_functions(self, functions: Mapping[Digest, bytes]) -> None:
        """Keep the pickles of functions."""

    def resubmitted(self, names: Mapping[MsgId, MsgId]) -> None:
        """Note that tasks were submitted again, under which ids."""

    def remove(self, msg_ids: Collection[MsgId]) -> None:
        """Forget records; those that there are not are passed over."""

    def remove_finished(self) -> None:
        """Forget all tasks that have ended."""

    def find(self, msg_ids: Collection[MsgId], then: Then[Found]) -> None:
        """Look records up."""

    def find_functions(
        self, digests: Collection[Digest], then: Then[Mapping[Digest, bytes]]
    ) -> None:
        """Look up pickles of functions; those that are not kept are left out."""

    def search(self, wanted: Filter, then: Then[list[TaskRecord]]) -> None:
        """Look for records that *wanted* fits, in the order in which they were submitted."""

    def history(self, then: Then[list[MsgId]]) -> None:
        """List the ids of all records in the order in which they were submitted."""

    def count(self, then: Then[int]) -> None:
        """Count all records."""

    def collect(self) -> None:
        """Hand over what was found meanwhile."""

    def condition(self) -> StoreCondition:
        """Tell how the store is."""

    def close(self) -> None:
        """Keep what is to be kept, and end."""
